// SPDX-License-Identifier: Apache-2.0
#include "eval/questions.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json_rows.h"
#include "base/row_faults.h"
#include "eval/items.h"
#include "eval/published_answers.h"
#include "eval/statistics.h"
#include "parse/repetition.h"

namespace selfalign::eval {
namespace {

namespace fs = std::filesystem;

constexpr char kVersion[] = "1";
constexpr int kMaxNewTokens = 1024;
constexpr char kVicunaFile[] = "vicuna_bench/question.jsonl";
constexpr char kMtBenchFile[] = "mt_bench/question.jsonl";
const std::map<std::string, double>& temperatures() {
  static const std::map<std::string, double> all = {
      {"writing", 0.7}, {"roleplay", 0.7},  {"extraction", 0.0},
      {"math", 0.0},    {"coding", 0.0},    {"reasoning", 0.0},
      {"stem", 0.1},    {"humanities", 0.1}};
  return all;
}

std::vector<std::string> texts(const Json& object, const char* name,
                               const std::string& where) {
  const auto found = object.find(name);
  std::vector<std::string> out;
  if (found != object.end() && found->is_array()) {
    for (const Json& text : *found) {
      if (!text.is_string()) break;
      out.push_back(text.get<std::string>());
    }
    if (out.size() == found->size() && !out.empty()) return out;
  }
  throw Error(ErrorKind::kInput,
              str(where, ": expected a list of texts '", name,
                  "', found another value; give the published file, or "
                  "lines as {\"question_id\": 1, \"turns\": [\"...\"]}"));
}

// Calls `read` for each object of a file; one that it refuses is left out.
template <typename Read>
void each_object(const std::string& path, Read read) {
  RowFaults faults(path);
  each_json_row(read_input(path), path, [&](const JsonRow& row) {
    faults.take_row([&] {
      const Json& value = row.get();
      read(value, question_id(value, row.where), row.where);
    });
  });
  faults.finish();
}

std::map<std::string, std::vector<std::string>> read_references(
    const fs::path& folder) {
  std::map<std::string, std::vector<std::string>> references;
  std::vector<std::string> files;
  std::error_code none;
  if (!fs::is_directory(folder, none)) return references;
  for (const std::string& file : list_folder(folder)) {
    if (fs::path(file).extension() == ".jsonl") files.push_back(file);
  }
  if (files.empty()) return references;
  each_object(
      *std::min_element(files.begin(), files.end()),
      [&](const Json& row, const std::string& id, const std::string& where) {
        const auto choices = row.find("choices");
        if (choices == row.end() || !choices->is_array() || choices->empty() ||
            !(*choices)[0].is_object()) {
          throw Error(
              ErrorKind::kInput,
              where +
                  ": this question has no choices; give the published file");
        }
        references[id] = texts((*choices)[0], "turns", where);
      });
  return references;
}

// What a figure averages, for each item; of published answers, whose tokens
// nobody counted, repetition alone.
Json scores_of(const Json& item) {
  const auto list = [&](const char* one, const char* many) {
    const Json value =
        item.contains(one) ? item[one] : item.value(many, Json::array());
    return value.is_array() ? value : Json::array({value});
  };
  const Json answers = list("answer", "answers");
  const Json tokens = list("tokens", "tokens");
  const Json finish = list("finish", "finish");
  double sum = 0.0;
  double ended = 0.0;
  double repetitive = 0.0;
  const double n = double(answers.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    if (i < tokens.size()) sum += tokens[i].get<double>() / n;
    if (i < finish.size()) ended += finish[i] == "stop" ? 1 / n : 0;
    repetitive +=
        parse::has_repetition(answers[i].get<std::string>()) ? 1 / n : 0;
  }
  if (tokens.empty()) return Json{{"repetitive", repetitive}};
  return Json{{"tokens", sum}, {"ended", ended}, {"repetitive", repetitive}};
}

Metric metric_of(const std::vector<Json>& items, const std::string& name,
                 const std::string& title, bool higher_is_better,
                 uint64_t seed) {
  std::vector<double> values;
  for (const Json& item : items) {
    values.push_back(json_number(item.at("scores"), name, "item"));
  }
  Metric metric;
  metric.name = name;
  metric.title = title;
  metric.value = mean(values);
  metric.num_items = int64_t(values.size());
  metric.higher_is_better = higher_is_better;
  metric.is_share = name != "tokens";
  const Interval interval =
      metric.is_share
          ? wilson(metric.value * double(values.size()), metric.num_items)
          : bootstrap_mean(values, seed);
  metric.low = interval.low;
  metric.high = interval.high;
  metric.interval = metric.is_share ? "Wilson" : "bootstrap over questions";
  return metric;
}

bool lacks_answer(const Json& item) {
  if (item.contains("answer")) return item["answer"] == "";
  const Json& answers = item.at("answers");
  return std::find(answers.begin(), answers.end(), Json("")) != answers.end();
}

// The measure of form itself, on texts that are known.
std::vector<SelfTest> check() {
  std::string circle;
  for (int i = 0; i < 30; ++i) circle += "It goes round and round again. ";
  const Json scores = scores_of({{"answers", {circle, "Yes, it does."}},
                                 {"tokens", {10, 2}},
                                 {"finish", {"length", "stop"}}});
  const bool passed = scores["tokens"] == 6.0 && scores["ended"] == 0.5 &&
                      scores["repetitive"] == 0.5;
  return {{"a circling, cut answer beside a plain one",
           "6 tokens, half ended, half repetitive", dump_json(scores), passed}};
}

// A set of open questions, and how it is asked.
struct OpenTask {
  std::string name;
  std::string path;          // of the questions
  bool by_category = false;  // temperature
};

AnsweringOptions answering_options(
    const OpenTask& task, const TaskOptions& options,
    const std::map<std::string, const OpenQuestion*>& by_id) {
  AnsweringOptions answering{task.name,        kVersion, options.seed,
                             options.decoding, {},       {}};
  answering.published = [by_category =
                             task.by_category](const Conversation& one) {
    recipe::GivenSampling published;
    published.max_new_tokens = kMaxNewTokens;
    if (!by_category) return published;
    const auto found = temperatures().find(one.group);
    published.temperature = found == temperatures().end() ? 0.7 : found->second;
    return published;
  };
  answering.finish = [&by_id](const Conversation& one, Json& item) {
    const std::vector<std::string>& reference = by_id.at(one.id)->reference;
    if (!reference.empty()) item["reference"] = reference;
    item["scores"] = scores_of(item);
  };
  return answering;
}

std::vector<Metric> metrics_of(const std::vector<Json>& items, uint64_t seed) {
  const auto add = [&](const char* name, const char* title, bool higher,
                       std::vector<Metric>& metrics) {
    if (items.empty() || !items[0].at("scores").contains(name)) return;
    metrics.push_back(metric_of(items, name, title, higher, seed));
  };
  std::vector<Metric> metrics;
  add("tokens", "Tokens of an answer", true, metrics);
  add("ended", "Answers that came to an end", true, metrics);
  add("repetitive", "Answers that repeat themselves", false, metrics);
  return metrics;
}

// The result of published answers, which are put in place of a model's.
TaskResult result_of_published(const OpenTask& task, const Subject& subject,
                               const MatchedAnswers& matched,
                               const TaskOptions& options) {
  TaskResult result;
  result.task = task.name;
  result.version = kVersion;
  result.subject = subject.name;
  result.fingerprint = "answers " + subject.published->digest;
  result.data = describe_data({task.path, subject.published->path});
  result.metrics = metrics_of(matched.items, options.seed);
  result.num_failures =
      std::count_if(matched.items.begin(), matched.items.end(), lacks_answer) +
      matched.num_missing;
  result.settings = decoding_part(Json());  // of whoever published them
  result.settings["missing"] = matched.num_missing;
  result.settings["unknown"] = matched.num_unknown;
  return result;
}

// Those that are asked.
std::vector<Conversation> picked(const std::vector<OpenQuestion>& all,
                                 const TaskOptions& options) {
  std::vector<Conversation> conversations;
  for (const size_t number : pick_items(all.size(), options)) {
    conversations.push_back(all[number].conversation);
  }
  return conversations;
}

bool is_answered(const std::string& path, const TaskOptions& options,
                 const PublishedAnswers& answers) {
  return has_answers(answers, picked(read_open_questions(path), options));
}

TaskResult run_open(const OpenTask& task, const Subject& subject, ItemLog& log,
                    const TaskOptions& options) {
  const std::vector<OpenQuestion> all = read_open_questions(task.path);
  const std::vector<Conversation> conversations = picked(all, options);
  std::map<std::string, const OpenQuestion*> by_id;
  for (const OpenQuestion& one : all) by_id[one.conversation.id] = &one;
  const AnsweringOptions answering = answering_options(task, options, by_id);
  TaskResult result;
  if (subject.published) {
    std::vector<std::string> ids;
    for (const OpenQuestion& one : all) ids.push_back(one.conversation.id);
    const MatchedAnswers matched =
        match_answers(*subject.published, conversations, ids, log, answering);
    result = result_of_published(task, subject, matched, options);
  } else {
    const std::vector<Json> items =
        answer_conversations(conversations, subject, log, answering);
    result =
        begin_result(task.name, kVersion, subject, describe_data({task.path}));
    result.metrics = metrics_of(items, options.seed);
    result.num_failures =
        std::count_if(items.begin(), items.end(), lacks_answer);
    result.settings = decoding_settings(conversations, subject, answering);
  }
  result.self_tests = check();
  result.settings["items"] = describe_pick(all.size(), options);
  result.settings["questions"] = fs::path(task.path).filename().string();
  return result;
}

}  // namespace

std::vector<OpenQuestion> read_open_questions(const std::string& path) {
  const auto references =
      read_references(fs::path(path).parent_path() / "reference_answer");
  std::vector<OpenQuestion> questions;
  std::set<std::string> seen;
  each_object(path, [&](const Json& row, const std::string& id,
                        const std::string& where) {
    OpenQuestion question{{id, json_string_or(row, "category", where, ""),
                           texts(row, "turns", where)},
                          {}};
    const auto given = references.find(id);
    if (given != references.end()) {
      question.reference = given->second;
    } else if (row.contains("reference")) {
      question.reference = texts(row, "reference", where);
    }
    if (!seen.insert(id).second) {
      throw Error(ErrorKind::kInput,
                  str(where, ": expected an id for each question, found ", id,
                      " a second time; number them"));
    }
    questions.push_back(std::move(question));
  });
  if (questions.empty()) {
    throw Error(ErrorKind::kInput,
                path + ": this file has no questions; give the published file");
  }
  return questions;
}

Task open_task(const std::string& name, const std::string& path) {
  read_open_questions(path);  // a fault is told before anybody is asked
  Task task;
  task.name = name;
  task.title = "Questions of " + fs::path(path).filename().string();
  task.run = [open = OpenTask{name, path}](const Subject& subject, ItemLog& log,
                                           const TaskOptions& options) {
    return run_open(open, subject, log, options);
  };
  task.check = [path](const TaskOptions&) { read_open_questions(path); };
  task.answered = [path](const TaskOptions& options,
                         const PublishedAnswers& answers) {
    return is_answered(path, options, answers);
  };
  return task;
}

bool has_open_questions(const TaskResult& result) {
  return result.task == "vicuna" || result.task == "mt_bench" ||
         (result.settings.is_object() && result.settings.contains("questions"));
}

void check_vicuna(const TaskOptions& options) {
  read_open_questions(find_data(options.data_folder, kVicunaFile));
}

bool vicuna_answered(const TaskOptions& options,
                     const PublishedAnswers& answers) {
  return is_answered(find_data(options.data_folder, kVicunaFile), options,
                     answers);
}

void check_mt_bench(const TaskOptions& options) {
  read_open_questions(find_data(options.data_folder, kMtBenchFile));
}

bool mt_bench_answered(const TaskOptions& options,
                       const PublishedAnswers& answers) {
  return is_answered(find_data(options.data_folder, kMtBenchFile), options,
                     answers);
}

TaskResult run_vicuna(const Subject& subject, ItemLog& log,
                      const TaskOptions& options) {
  return run_open({"vicuna", find_data(options.data_folder, kVicunaFile)},
                  subject, log, options);
}

TaskResult run_mt_bench(const Subject& subject, ItemLog& log,
                        const TaskOptions& options) {
  return run_open(
      {"mt_bench", find_data(options.data_folder, kMtBenchFile), true}, subject,
      log, options);
}

}  // namespace selfalign::eval
