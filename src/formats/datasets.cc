// SPDX-License-Identifier: Apache-2.0
#include "formats/datasets.h"

#include <algorithm>
#include <utility>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_rows.h"
#include "formats/dataset_rows.h"
#include "text/plain_text.h"
#include "text/words.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

const char* form_name(DatasetForm form) {
  constexpr const char* kNames[] = {"alpaca", "sharegpt", "messages"};
  return kNames[static_cast<size_t>(form)];
}

// The names of a dialogue's parts in one form.
struct DialogueForm {
  const char* list;
  const char* role;
  const char* text;
};

DialogueForm dialogue_form(DatasetForm form) {
  return form == DatasetForm::kShareGpt
             ? DialogueForm{"conversations", "from", "value"}
             : DialogueForm{"messages", "role", "content"};
}

// What begins a file that is no text.
void refuse_other_formats(std::string_view bytes, const std::string& path) {
  constexpr std::pair<std::string_view, const char*> kKnown[] = {
      {"PAR1", "Parquet"},          {"ARROW1", "Arrow"},
      {"\x1f\x8b", "gzip"},         {"PK\x03\x04", "a zip archive"},
      {"\x28\xb5\x2f\xfd", "zstd"}, {"\xff\xfe", "UTF-16"},
      {"\xfe\xff", "UTF-16"}};
  for (const auto& [begin, name] : kKnown) {
    if (bytes.starts_with(begin)) {
      fail(path, str("expected JSON in UTF-8, found ", name,
                     "; convert or unpack it to JSON lines"));
    }
  }
}

// Where the first line is no JSON and has fields.
void refuse_table(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with("\xef\xbb\xbf")) bytes.remove_prefix(3);
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  const size_t first = line.find_first_not_of(" \t\r,");
  if (first == std::string_view::npos || line[first] == '{' ||
      line[first] == '[') {
    return;
  }
  const bool commas = line.find(',') != std::string_view::npos;
  if (!commas && line.find('\t') == std::string_view::npos) return;
  fail(path + ":1:1",
       str("expected JSON, found a line of fields between ",
           commas ? "commas (CSV)" : "tabs (TSV)",
           "; convert the table to JSON lines, an object a row"));
}

std::vector<DatasetRow> read_rows(const std::string& path, bool prompts_only) {
  const MappedFile map(path);
  refuse_other_formats(map.bytes(), path);
  std::vector<DatasetRow> rows;
  each_json_row(map.bytes(), path, [&](const JsonRow& row) {
    DatasetRow read{"", {}, "unreadable", row.problem};
    if (row.value) read = read_dataset_row(*row.value, prompts_only);
    read.where = row.where;
    rows.push_back(std::move(read));
  });
  map.require_unchanged();
  if (rows.empty()) fail(path, "there are no rows");
  const bool any =
      std::any_of(rows.begin(), rows.end(),
                  [](const DatasetRow& row) { return row.reason.empty(); });
  if (!any) {
    refuse_table(map.bytes(), path);
    fail(rows[0].where,
         str(rows[0].detail, "; of ", counted(int64_t(rows.size()), "row"),
             " none can be used"));
  }
  return rows;
}

// Lines that end in "\n", "\r\n" or, as old Macs wrote them, "\r".
std::vector<std::string_view> typed_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of("\r\n"), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
    text.remove_prefix(text.starts_with("\r\n") ? 2 : text.empty() ? 0 : 1);
  }
  return lines;
}

std::vector<DatasetRow> read_prompt_lines(const std::string& path) {
  const MappedFile map(path);
  refuse_other_formats(map.bytes(), path);
  const std::string_view text = text::checked_text(map.bytes(), path);
  std::vector<DatasetRow> prompts;
  size_t number = 0;
  for (std::string_view line : typed_lines(text)) {
    const std::string where = str(path, ": line ", ++number);
    line = text::trim(line);
    if (line.empty()) continue;
    prompts.push_back({where, {{{"user", std::string(line)}}}, "", ""});
  }
  map.require_unchanged();
  if (prompts.empty()) fail(path, "expected lines of text, found none");
  return prompts;
}

// The one user turn and the one assistant turn of a row of Alpaca.
Json alpaca_row(const Conversation& row, const std::string& where) {
  if (row.turns.size() != 2 || row.turns[0].role != "user" ||
      row.turns[1].role != "assistant") {
    fail(where, str("expected one user and one assistant turn, which is all "
                    "that Alpaca's form holds, found ",
                    row.turns.size(), " turns; write sharegpt or messages"));
  }
  return {{"instruction", row.turns[0].text},
          {"input", ""},
          {"output", row.turns[1].text}};
}

Json dialogue_row(const Conversation& row, DatasetForm form) {
  const DialogueForm names = dialogue_form(form);
  Json turns = Json::array();
  for (const Turn& turn : row.turns) {
    std::string role = turn.role;
    if (form == DatasetForm::kShareGpt) {
      if (role == "user") role = "human";
      if (role == "assistant") role = "gpt";
    }
    turns.push_back({{names.role, role}, {names.text, turn.text}});
  }
  Json object = Json::object();
  object[names.list] = std::move(turns);
  return object;
}

}  // namespace

DatasetForm dataset_form(std::string_view name) {
  for (DatasetForm form :
       {DatasetForm::kAlpaca, DatasetForm::kShareGpt, DatasetForm::kMessages}) {
    if (name == form_name(form)) return form;
  }
  throw Error(
      ErrorKind::kUsage,
      str("dataset form: expected alpaca, sharegpt or messages, found ", name));
}

std::vector<DatasetRow> read_dataset(const std::string& path) {
  return read_rows(path, false);
}

std::vector<DatasetRow> read_prompts(const std::string& path) {
  if (path.ends_with(".txt")) return read_prompt_lines(path);
  std::vector<DatasetRow> rows = read_rows(path, true);
  for (DatasetRow& row : rows) {
    std::erase_if(row.conversation.turns,
                  [](const Turn& turn) { return turn.role != "user"; });
    if (row.conversation.turns.size() > 1) row.conversation.turns.resize(1);
  }
  return rows;
}

void write_dataset(const std::string& path, DatasetForm form,
                   const std::vector<Conversation>& rows) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = str(path, ": row ", i + 1);
    text +=
        dump_json(form == DatasetForm::kAlpaca ? alpaca_row(rows[i], where)
                                               : dialogue_row(rows[i], form));
    text += '\n';
  }
  write_file_atomic(path, text);
}

}  // namespace selfalign::formats
