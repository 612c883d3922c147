// SPDX-License-Identifier: Apache-2.0
#include "report/tables.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "eval/result_items.h"
#include "report/markup.h"

namespace selfalign::report {
namespace {

constexpr size_t kNumItems = 24;   // shown of a task
constexpr size_t kMaxText = 1500;  // characters
constexpr size_t kMaxMore = 900;

// What stands in one table: a task's results under one decoding.
struct TableOf {
  std::string task;
  std::string decoding;  // decoding_of its results
  std::string name;  // of the table: the task's, with a number if not the first
  eval::Results results;
};

std::vector<TableOf> tables_of(const eval::Results& results) {
  std::vector<TableOf> tables;
  std::set<std::string> known;
  for (const eval::TaskResult& one : results.results) {
    if (!known.insert(one.task).second) continue;
    eval::Results of_task = results;
    std::erase_if(of_task.results, [&one](const eval::TaskResult& result) {
      return result.task != one.task;
    });
    size_t number = 0;
    for (const std::string& decoding : eval::decodings_of(results, one.task)) {
      const std::string suffix = ++number == 1 ? "" : str(" (", number, ")");
      tables.push_back({one.task, decoding, one.task + suffix,
                        eval::under_decoding(of_task, decoding)});
    }
  }
  return tables;
}

std::string title_of(const eval::Results& results, const std::string& subject) {
  for (const eval::SubjectInfo& info : results.subjects) {
    if (info.name == subject && !info.title.empty()) return info.title;
  }
  return subject;
}

Json metric_json(const eval::Metric& metric) {
  return {{"name", metric.name},
          {"title", metric.title},
          {"chance", metric.chance ? Json(*metric.chance) : Json(nullptr)},
          {"higher_is_better", metric.higher_is_better},
          {"is_share", metric.is_share},
          {"note", metric.note}};
}

Json table_of(const TableOf& source) {
  const eval::Results& results = source.results;
  Json table{{"task", source.task},
             {"name", source.name},
             {"decoding", source.decoding},
             {"decoding_lines", eval::decoding_lines(results.results)},
             {"metrics", Json::array()},
             {"models", Json::array()}};
  std::set<std::string> known;
  for (const eval::TaskResult& result : results.results) {
    Json figures = Json::object();
    for (const eval::Metric& metric : result.metrics) {
      if (known.insert(metric.name).second) {
        table["metrics"].push_back(metric_json(metric));
      }
      figures[metric.name] = {{"value", metric.value},
                              {"low", metric.low},
                              {"high", metric.high},
                              {"interval", metric.interval},
                              {"num_items", metric.num_items}};
    }
    table["models"].push_back({{"subject", result.subject},
                               {"title", title_of(results, result.subject)},
                               {"figures", figures},
                               {"failures", result.num_failures}});
  }
  return table;
}

// "question", or the turns of a conversation.
std::string question_of(const Json& item) {
  std::string question;
  for (const char* name : {"question", "turns", "query", "prompt"}) {
    const auto found = item.find(name);
    if (found == item.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    for (const Json& turn : *found) {
      if (!turn.is_string()) continue;
      question += (question.empty() ? "" : "\n\n") + turn.get<std::string>();
    }
    if (!question.empty()) return question;
  }
  return question;
}

std::string answer_text(const Json& item) {
  const auto one = item.find("answer");
  if (one != item.end() && one->is_string()) return one->get<std::string>();
  std::string all;
  for (const Json& turn : item.value("answers", Json::array())) {
    if (!turn.is_string()) continue;
    all += (all.empty() ? "" : "\n\n") + turn.get<std::string>();
  }
  return all;
}

Json answer_json(const Json& item) {
  static const std::set<std::string> kShown = {"id",     "group",   "question",
                                               "turns",  "query",   "prompt",
                                               "answer", "answers", "scores"};
  Json more = Json::object();
  for (const auto& [name, value] : item.items()) {
    if (!kShown.contains(name)) more[name] = value;
  }
  return {{"scores", item.value("scores", Json::object())},
          {"answer", shorten(answer_text(item), kMaxText)},
          {"more", more.empty() ? "" : shorten(dump_json(more), kMaxMore)}};
}

Json items_of(const std::string& folder, const TableOf& source,
              size_t num_shown) {
  const std::string& task = source.task;
  Json files = Json::array();
  Json shown = Json::array();
  std::map<std::string, size_t> places;  // of the items shown
  size_t total = 0;
  for (const eval::TaskResult& result : source.results.results) {
    const std::vector<Json> items = eval::read_items(folder, result);
    if (items.empty()) continue;
    files.push_back(result.items);
    if (places.empty()) {
      total = items.size();
      const size_t count = std::min(num_shown, total);
      for (size_t i = 0; i < count; ++i) {
        const Json& item = items[i * total / count];
        const std::string id = json_string_or(item, "id", task, "");
        places[id] = i;
        shown.push_back({{"id", id},
                         {"group", json_string_or(item, "group", task, "")},
                         {"question", shorten(question_of(item), kMaxText)},
                         {"answers", Json::object()}});
      }
    }
    for (const Json& item : items) {
      const auto place = places.find(json_string_or(item, "id", task, ""));
      if (place == places.end()) continue;
      shown[place->second]["answers"][result.subject] = answer_json(item);
    }
  }
  return {{"total", total},
          {"shown", shown.size()},
          {"files", files},
          {"items", shown}};
}

}  // namespace

Json tables_by_model(const eval::Results& results) {
  Json tables = Json::array();
  for (const TableOf& source : tables_of(results)) {
    tables.push_back(table_of(source));
  }
  return tables;
}

Json items_by_task(const std::string& folder, const eval::Results& results,
                   size_t num_shown) {
  Json all = Json::object();
  for (const TableOf& source : tables_of(results)) {
    Json items = items_of(folder, source, num_shown);
    if (items["shown"] > 0) all[source.name] = std::move(items);
  }
  return all;
}

Json evaluation_json(const std::string& folder, const eval::Results& results) {
  if (results.results.empty() && results.comparisons.empty()) {
    return Json::object();
  }
  Json evaluation = eval::to_json(results);
  // Keys are of results.json: the items stand below.
  for (Json& result : evaluation["results"]) result.erase("keys");
  for (Json& comparison : evaluation["comparisons"]) comparison.erase("keys");
  evaluation["tables"] = tables_by_model(results);
  evaluation["items"] = items_by_task(folder, results, kNumItems);
  return evaluation;
}

}  // namespace selfalign::report
