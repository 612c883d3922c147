// SPDX-License-Identifier: Apache-2.0
#include "formats/evaluation_sets.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json_rows.h"
#include "base/row_faults.h"
#include "text/plain_text.h"
#include "text/words.h"

namespace selfalign::formats {
namespace {

using Rows = std::vector<std::vector<std::string>>;

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

void add_text(std::string_view text, std::vector<std::string>& out) {
  const std::string_view trimmed = text::trim(text);
  if (!trimmed.empty()) out.push_back(text::fix_utf8(trimmed));
}

void add_parts(const std::string& list, std::vector<std::string>& out) {
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(';', begin), list.size());
    add_text(std::string_view(list).substr(begin, end - begin), out);
    begin = end + 1;
  }
}

// Text, or a list of it; nothing where it is missing or null.
void add_member(const Json& object, const char* name, const std::string& where,
                std::vector<std::string>& out) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return;
  if (found->is_string()) {
    add_text(found->get_ref<const std::string&>(), out);
    return;
  }
  if (!found->is_array()) {
    fail(where, str(name,
                    ": expected text or a list of it, found another "
                    "value"));
  }
  for (const Json& text : *found) {
    if (text.is_null()) continue;
    if (!text.is_string()) {
      fail(where, str(name, ": expected a list of texts, found another value"));
    }
    add_text(text.get_ref<const std::string&>(), out);
  }
}

// The names of an object of scores.
void add_choices(const Json& object, const char* name, const std::string& where,
                 std::vector<std::string>& out) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return;
  if (!found->is_object()) {
    fail(where, str(name,
                    ": expected an object of answers and scores, found "
                    "another value"));
  }
  for (const auto& [answer, score] : found->items()) add_text(answer, out);
}

std::string id_of(const Json& row, size_t number, const std::string& where) {
  for (const char* name : {"question_id", "id"}) {
    const auto found = row.find(name);
    if (found == row.end() || found->is_null()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number_integer()) return dump_json(*found);
    fail(where, str(name, ": expected a name or a whole number"));
  }
  return std::to_string(number);
}

EvaluationItem read_item(const Json& row, size_t number,
                         const std::string& where) {
  if (!row.is_object()) {
    fail(where, "expected an object, found another value");
  }
  EvaluationItem item;
  item.id = id_of(row, number, where);
  for (const char* name :
       {"turns", "question", "prompt", "instruction", "text", "input"}) {
    add_member(row, name, where, item.questions);
  }
  for (const char* name : {"reference", "answer", "output"}) {
    add_member(row, name, where, item.answers);
  }
  for (const char* name : {"target_scores", "mc1_targets", "mc2_targets"}) {
    add_choices(row, name, where, item.answers);
  }
  if (item.questions.empty()) {
    fail(where,
         "expected turns, question, prompt, instruction, text or input with "
         "some text, found none");
  }
  return item;
}

// Items one after another in any layout of base/json_rows.h, or in the
// "examples" of an object (BIG-bench).
std::vector<EvaluationItem> read_json(std::string_view text,
                                      const std::string& path) {
  std::vector<EvaluationItem> items;
  RowFaults faults(path);
  size_t number = 0;
  each_json_row(text, path, [&](const JsonRow& row) {
    if (!row.value || !row.value->is_object() ||
        !row.value->contains("examples")) {
      ++number;
      faults.take_row(
          [&] { items.push_back(read_item(row.get(), number, row.where)); });
      return;
    }
    const Json& examples = (*row.value)["examples"];
    if (!examples.is_array()) {
      fail(path, "examples: expected a list, found another value");
    }
    for (const Json& example : examples) {
      const std::string where = str(path, ": examples: row ", ++number);
      faults.take_row(
          [&] { items.push_back(read_item(example, number, where)); });
    }
  });
  faults.finish();
  return items;
}

size_t column(const Rows& rows, const char* name) {
  const auto found = std::find(rows[0].begin(), rows[0].end(), name);
  return static_cast<size_t>(found - rows[0].begin());
}

EvaluationItem read_table_row(const Rows& rows, size_t number, size_t question,
                              const std::string& where) {
  const std::vector<std::string>& row = rows[number];
  if (row.size() != rows[0].size()) {
    fail(where,
         str("expected ", rows[0].size(), " fields, found ", row.size()));
  }
  EvaluationItem item;
  item.id = std::to_string(number);
  add_text(row[question], item.questions);
  if (item.questions.empty()) fail(where, "Question: expected some text");
  for (const char* name :
       {"Best Answer", "Correct Answers", "Incorrect Answers"}) {
    const size_t at = column(rows, name);
    if (at < row.size()) add_parts(row[at], item.answers);
  }
  return item;
}

std::vector<EvaluationItem> read_table(std::string_view text,
                                       const std::string& path) {
  const Rows rows = read_csv(text, path);
  const size_t question = rows.empty() ? 0 : column(rows, "Question");
  if (rows.empty() || question == rows[0].size()) {
    fail(path,
         "expected JSON, or CSV with a column Question, found neither; the "
         "forms that are read are in docs/formats.md");
  }
  std::vector<EvaluationItem> items;
  RowFaults faults(path);
  for (size_t i = 1; i < rows.size(); ++i) {
    faults.take_row([&] {
      items.push_back(
          read_table_row(rows, i, question, str(path, ": row ", i)));
    });
  }
  faults.finish();
  return items;
}

// "hhh_alignment/honest/task.json" is "honest/task.json".
std::string set_name(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string stem = file.stem().string();
  const bool generic = stem == "task" || stem == "question" || stem == "test" ||
                       stem == "questions" || stem == "data";
  const std::string folder = file.parent_path().filename().string();
  return generic && !folder.empty() ? folder + "/" + file.filename().string()
                                    : file.filename().string();
}

}  // namespace

std::vector<std::vector<std::string>> read_csv(std::string_view text,
                                               const std::string& where) {
  Rows rows;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false;
  size_t line = 1;
  size_t quote_line = 0;
  const auto end_row = [&] {
    row.push_back(std::move(field));
    field.clear();
    if (row.size() > 1 || !row[0].empty()) rows.push_back(std::move(row));
    row.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    line += c == '\n';
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += text[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && field.empty()) {
      quoted = true;
      quote_line = line;
    } else if (c == ',') {
      row.push_back(std::move(field));
      field.clear();
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r' || i + 1 == text.size() || text[i + 1] != '\n') {
      field += c;
    }
  }
  if (quoted) {
    fail(str(where, ": line ", quote_line),
         "expected a closing quote, found the end of the file");
  }
  if (!field.empty() || !row.empty()) end_row();
  return rows;
}

EvaluationSet read_evaluation_set(const std::string& path, bool may_be_pipe) {
  const std::string bytes = may_be_pipe ? read_input(path) : read_file(path);
  std::string_view text = bytes;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  EvaluationSet set{set_name(path), {}};
  if (first == std::string_view::npos) {
    fail(path, "expected items, found an empty file");
  }
  if (text[first] == '[' || text[first] == '{') {
    set.items = read_json(text, path);
  } else {
    set.items = read_table(text::checked_text(text, path), path);
  }
  if (set.items.empty()) fail(path, "expected items, found none");
  return set;
}

}  // namespace selfalign::formats
