#include "eval/questions.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json_parse.h"
#include "eval/items.h"
#include "eval/statistics.h"
#include "stages/repetition.h"
#include "text/words.h"

namespace selfalign::eval {
namespace {

namespace fs = std::filesystem;

constexpr char kVersion[] = "1";
constexpr int kMaxNewTokens = 1024;
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
                  "', found another value; give the published file"));
}

// Calls `read` for each object of a file of lines.
template <typename Read>
void each_object(const std::string& path, Read read) {
  const std::string content = read_file(path);
  size_t number = 0;
  for (const std::string_view line : text::split_lines(content)) {
    const std::string where = str(path, ":", ++number);
    if (text::trim(line).empty()) continue;
    const Json row = parse_json_line(line, where);
    const int64_t id = json_int(row, "question_id", where);
    read(row, std::to_string(id), where);
  }
}

std::map<std::string, std::vector<std::string>> read_references(
    const fs::path& folder) {
  std::map<std::string, std::vector<std::string>> references;
  std::vector<std::string> files;
  std::error_code none;
  for (const auto& file : fs::directory_iterator(folder, none)) {
    if (file.path().extension() == ".jsonl") files.push_back(file.path());
  }
  if (files.empty()) return references;
  each_object(
      *std::min_element(files.begin(), files.end()),
      [&](const Json& row, const std::string& id, const std::string& where) {
        const auto choices = row.find("choices");
        if (choices == row.end() || !choices->is_array() || choices->empty() ||
            !(*choices)[0].is_object()) {
          throw Error(ErrorKind::kInput,
                      where +
                          ": expected choices, found none; give "
                          "the published file");
        }
        references[id] = texts((*choices)[0], "turns", where);
      });
  return references;
}

// What a figure averages, for each item.
Json scores_of(const Json& item) {
  const auto list = [&](const char* one, const char* many) {
    const Json& value = item.contains(one) ? item[one] : item.at(many);
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
    sum += tokens[i].get<double>() / n;
    ended += finish[i] == "stop" ? 1 / n : 0;
    repetitive +=
        stages::has_repetition(answers[i].get<std::string>()) ? 1 / n : 0;
  }
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
  const Interval interval = bootstrap_mean(values, seed);
  metric.low = interval.low;
  metric.high = interval.high;
  metric.interval = "bootstrap over questions";
  metric.num_items = int64_t(values.size());
  metric.higher_is_better = higher_is_better;
  metric.is_share = name != "tokens";
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

TaskResult run_open(const std::string& task, const std::string& file,
                    bool by_category, const Subject& subject, ItemLog& log,
                    const TaskOptions& options) {
  const std::string path = find_data(options.data_folder, file);
  const std::vector<OpenQuestion> all = read_open_questions(path);
  std::vector<Conversation> conversations;
  std::map<std::string, const OpenQuestion*> by_id;
  for (const size_t number : pick_items(all.size(), options)) {
    conversations.push_back(all[number].conversation);
    by_id[all[number].conversation.id] = &all[number];
  }
  AnsweringOptions answering{task, kVersion, options.seed, options.decoding,
                             {},   {}};
  answering.sampling = [&](const Conversation& one,
                           generate::Sampling& sampling) {
    sampling.max_new_tokens = kMaxNewTokens;
    if (!by_category) return;
    const auto found = temperatures().find(one.group);
    sampling.temperature = found == temperatures().end() ? 0.7 : found->second;
    if (sampling.temperature == 0.0) sampling = stages::greedy(sampling);
  };
  answering.finish = [&](const Conversation& one, Json& item) {
    const std::vector<std::string>& reference = by_id.at(one.id)->reference;
    if (!reference.empty()) item["reference"] = reference;
    item["scores"] = scores_of(item);
  };
  const std::vector<Json> items =
      answer_conversations(conversations, subject, log, answering);
  TaskResult result =
      begin_result(task, kVersion, subject, describe_data({path}));
  const uint64_t seed = options.seed;
  result.metrics = {
      metric_of(items, "tokens", "Tokens of an answer", true, seed),
      metric_of(items, "ended", "Answers that came to an end", true, seed),
      metric_of(items, "repetitive", "Answers that repeat themselves", false,
                seed)};
  result.self_tests = check();
  result.num_failures = std::count_if(items.begin(), items.end(), lacks_answer);
  result.settings = decoding_settings(conversations, subject, answering);
  result.settings["items"] = describe_pick(all.size(), options);
  return result;
}

}  // namespace

std::vector<OpenQuestion> read_open_questions(const std::string& path) {
  const auto references =
      read_references(fs::path(path).parent_path() / "reference_answer");
  std::vector<OpenQuestion> questions;
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
    questions.push_back(std::move(question));
  });
  return questions;
}

TaskResult run_vicuna(const Subject& subject, ItemLog& log,
                      const TaskOptions& options) {
  return run_open("vicuna", "vicuna_bench/question.jsonl", false, subject, log,
                  options);
}

TaskResult run_mt_bench(const Subject& subject, ItemLog& log,
                        const TaskOptions& options) {
  return run_open("mt_bench", "mt_bench/question.jsonl", true, subject, log,
                  options);
}

}  // namespace selfalign::eval
