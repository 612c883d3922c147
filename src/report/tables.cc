// SPDX-License-Identifier: Apache-2.0
#include "report/tables.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

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

ModelTable table_of(const TableOf& source) {
  const eval::Results& results = source.results;
  ModelTable table{source.task,
                   source.name,
                   source.decoding,
                   eval::decoding_lines(results.results),
                   {},
                   {}};
  std::set<std::string> known;
  for (const eval::TaskResult& result : results.results) {
    TableModel model{result.subject,
                     title_of(results, result.subject),
                     {},
                     result.num_failures};
    for (const eval::Metric& metric : result.metrics) {
      if (known.insert(metric.name).second) {
        table.metrics.push_back({metric.name, metric.title, metric.chance,
                                 metric.higher_is_better, metric.is_share,
                                 metric.note});
      }
      const bool exact = metric.interval.empty();
      named(model.figures, metric.name) = {metric.value,
                                           exact ? metric.value : metric.low,
                                           exact ? metric.value : metric.high,
                                           metric.interval, metric.num_items};
    }
    table.models.push_back(std::move(model));
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

ShownAnswer shown_answer(const Json& item) {
  static const std::set<std::string> kShown = {"id",     "group",   "question",
                                               "turns",  "query",   "prompt",
                                               "answer", "answers", "scores"};
  Json more = Json::object();
  for (const auto& [name, value] : item.items()) {
    if (!kShown.contains(name)) more[name] = value;
  }
  return {item.value("scores", Json::object()),
          shorten(answer_text(item), kMaxText),
          more.empty() ? "" : shorten(dump_json(more), kMaxMore)};
}

ShownItems items_of(const std::string& folder, const TableOf& source,
                    size_t num_shown) {
  const std::string& task = source.task;
  ShownItems shown;
  std::map<std::string, size_t> places;  // of the items shown
  for (const eval::TaskResult& result : source.results.results) {
    const std::vector<Json> items = eval::read_items(folder, result);
    if (items.empty()) continue;
    shown.files.push_back(result.items);
    if (places.empty()) {
      shown.num_items = int64_t(items.size());
      const size_t count = std::min(num_shown, items.size());
      for (size_t i = 0; i < count; ++i) {
        const Json& item = items[i * items.size() / count];
        const std::string id = json_string_or(item, "id", task, "");
        places[id] = i;
        shown.items.push_back({id,
                               json_string_or(item, "group", task, ""),
                               shorten(question_of(item), kMaxText),
                               {}});
      }
    }
    for (const Json& item : items) {
      const auto place = places.find(json_string_or(item, "id", task, ""));
      if (place == places.end()) continue;
      named(shown.items[place->second].answers, result.subject) =
          shown_answer(item);
    }
  }
  shown.num_shown = int64_t(shown.items.size());
  return shown;
}

}  // namespace

std::vector<ModelTable> tables_by_model(const eval::Results& results) {
  std::vector<ModelTable> tables;
  for (const TableOf& source : tables_of(results)) {
    tables.push_back(table_of(source));
  }
  return tables;
}

Named<ShownItems> items_by_task(const std::string& folder,
                                const eval::Results& results,
                                size_t num_shown) {
  Named<ShownItems> all;
  for (const TableOf& source : tables_of(results)) {
    ShownItems items = items_of(folder, source, num_shown);
    if (items.num_shown > 0) all.emplace_back(source.name, std::move(items));
  }
  return all;
}

std::optional<EvaluationReport> evaluation_report(
    const std::string& folder, const eval::Results& results) {
  if (results.results.empty() && results.comparisons.empty()) {
    return std::nullopt;
  }
  EvaluationReport report{results, tables_by_model(results),
                          items_by_task(folder, results, kNumItems)};
  for (eval::TaskResult& result : report.results.results) result.keys.clear();
  for (eval::Comparison& one : report.results.comparisons) one.keys.clear();
  return report;
}

}  // namespace selfalign::report
