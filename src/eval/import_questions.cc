// SPDX-License-Identifier: Apache-2.0
#include "eval/import_questions.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_rows.h"
#include "base/row_faults.h"
#include "formats/datasets.h"
#include "text/words.h"

namespace selfalign::eval {
namespace {

struct Question {
  Json id;  // null: none
  std::string category;
  std::vector<std::string> turns;
};

std::string trimmed(const std::string& text) {
  return std::string(text::trim(text));
}

std::vector<std::string> turns_of(const Json& row) {
  std::vector<std::string> turns;
  const Json list = row.value("turns", Json());
  for (size_t i = 0; list.is_array() && i < list.size(); ++i) {
    if (list[i].is_string()) turns.push_back(trimmed(list[i]));
  }
  const Json question = row.value("question", Json());
  if (turns.empty() && question.is_string()) turns = {trimmed(question)};
  // What follows an empty turn is no question of its own.
  turns.erase(std::find(turns.begin(), turns.end(), ""), turns.end());
  return turns;
}

std::string category_of(const Json& row) {
  for (const char* name : {"category", "question_type"}) {
    const Json value = row.value(name, Json());
    if (value.is_string()) return value.get<std::string>();
  }
  return "";
}

bool is_question(const Json& row) {
  return row.is_object() && (row.contains("turns") || row.contains("question"));
}

// Rows of questions; none where the first one that is JSON is no such row.
std::vector<Question> read_rows(const std::string& path) {
  std::vector<Question> questions;
  bool is_other = false;
  RowFaults faults(path);
  each_json_row(read_input(path), path, [&](const JsonRow& read) {
    is_other = is_other ||
               (questions.empty() && read.value && !is_question(*read.value));
    if (is_other) return;
    faults.take_row([&] {
      const Json& row = read.get();
      if (!is_question(row)) {
        throw Error(ErrorKind::kInput,
                    read.where +
                        ": this row has neither 'turns' nor 'question', as the "
                        "rows before have; correct it");
      }
      questions.push_back(
          {row.value("question_id", Json()), category_of(row), turns_of(row)});
    });
  });
  if (!questions.empty()) faults.finish();
  return questions;
}

// A file of datasets or of lines.
std::vector<Question> read_prompts(const std::string& path) {
  std::vector<Question> questions;
  RowFaults faults(path);
  for (const formats::DatasetRow& row : formats::read_prompts(path)) {
    if (!row.reason.empty()) {
      faults.add(row.where + ": " + row.detail);
      continue;
    }
    faults.take_row([&] {
      questions.push_back({Json(), "", {}});
      if (row.conversation.turns.empty()) return;
      const std::string prompt = trimmed(row.conversation.turns[0].text);
      if (!prompt.empty()) questions.back().turns = {prompt};
    });
  }
  faults.finish();
  return questions;
}

bool have_ids(const std::vector<Question>& questions) {
  std::set<std::string> ids;
  return std::all_of(questions.begin(), questions.end(), [&](const auto& one) {
    const bool is_id = one.id.is_number_integer() || one.id.is_string();
    return is_id && ids.insert(dump_json(one.id)).second;
  });
}

}  // namespace

ImportedQuestions import_questions(const std::vector<std::string>& paths,
                                   const std::string& output) {
  if (std::filesystem::exists(output)) {
    throw Error(ErrorKind::kUsage,
                output + " already exists; give another name or move it away");
  }
  ImportedQuestions report;
  std::vector<Question> all;
  std::set<std::vector<std::string>> seen;
  for (const std::string& path : paths) {
    std::vector<Question> rows;
    if (!path.ends_with(".txt")) rows = read_rows(path);
    if (rows.empty()) rows = read_prompts(path);
    for (Question& one : rows) {
      if (one.turns.empty()) {
        ++report.num_empty;
      } else if (!seen.insert(one.turns).second) {
        ++report.num_repeated;
      } else {
        all.push_back(std::move(one));
      }
    }
  }
  if (all.empty()) {
    throw Error(ErrorKind::kInput,
                str(paths.at(0), ": no question was found in ",
                    counted(static_cast<int64_t>(paths.size()), "file"),
                    "; name files with questions"));
  }
  report.numbered = !have_ids(all);
  std::string lines;
  for (const Question& one : all) {
    ++report.num_questions;
    Json row{
        {"question_id", report.numbered ? Json(report.num_questions) : one.id}};
    if (!one.category.empty()) row["category"] = one.category;
    row["turns"] = one.turns;
    lines += dump_json(row) + "\n";
  }
  write_file_atomic(output, lines);
  return report;
}

}  // namespace selfalign::eval
