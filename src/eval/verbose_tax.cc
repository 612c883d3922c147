#include "eval/verbose_tax.h"

#include <map>

#include "base/error.h"
#include "base/hash.h"
#include "eval/result_items.h"
#include "stages/repetition.h"
#include "stages/stats.h"
#include "text/words.h"

namespace selfalign::eval {
namespace {

constexpr char kBefore[] = "engraved";
constexpr char kAfter[] = "verbose";

// One text of an item's "answer" or "answers"; "" of none.
std::string answer_of(const Json& item) {
  const auto one = item.find("answer");
  if (one != item.end() && one->is_string()) return one->get<std::string>();
  std::string all;
  for (const Json& part : item.value("answers", Json::array())) {
    if (part.is_string()) all += part.get<std::string>() + "\n";
  }
  return all;
}

// A number, or the sum of a list of them.
bool sum_of(const Json& value, double& sum) {
  if (value.is_number()) {
    sum = value.get<double>();
    return true;
  }
  if (!value.is_array() || value.empty()) return false;
  sum = 0.0;
  for (const Json& part : value) {
    if (!part.is_number()) return false;
    sum += part.get<double>();
  }
  return true;
}

// Whether every answer was ended by the model.
bool ended(const Json& finish) {
  if (!finish.is_array()) return finish == "stop";
  for (const Json& one : finish) {
    if (one != "stop") return false;
  }
  return true;
}

// All figures of an item by name.
std::map<std::string, double> scores_of(const Json& item) {
  std::map<std::string, double> scores;
  const Json of_text = text_scores(item);
  for (const auto& [name, value] : of_text.items()) scores[name] = value;
  const auto own = item.find("scores");
  if (own == item.end() || !own->is_object()) return scores;
  for (const auto& [name, value] : own->items()) {
    if (value.is_number()) scores[name] = value.get<double>();
  }
  return scores;
}

std::vector<Json> held_out_items(const store::Store& store,
                                 const std::string& variant) {
  std::vector<Json> items;
  const std::string stage = "held_out." + variant + ".answers";
  store.scan(stage, "", [&](const store::SeenRow& seen) {
    if (!seen.completion) return true;
    const generate::Completion& completion = seen.completion->completion;
    items.push_back(
        {{"id", json_string_or(seen.row.content, "instruction", stage, "")},
         {"answer", completion.text},
         {"tokens", completion.num_tokens},
         {"finish", generate::finish_name(completion.finish)}});
    return true;
  });
  return items;
}

// As the result says of its figure; of what only the text says, lengths are
// none.
bool is_share(const std::vector<Metric>& metrics, const std::string& score) {
  for (const Metric& metric : metrics) {
    if (metric.name == score) return metric.is_share;
  }
  return score != "tokens" && score != "words";
}

Json row_json(const ScoreDifference& row, const std::vector<Metric>& metrics) {
  return {{"task", row.task},
          {"score", row.score},
          {"is_share", is_share(metrics, row.score)},
          {"before", row.before},
          {"after", row.after},
          {"difference", row.change.difference},
          {"low", row.change.low},
          {"high", row.change.high},
          {"num_items", row.change.n}};
}

}  // namespace

Json text_scores(const Json& item) {
  Json scores = Json::object();
  const std::string answer = answer_of(item);
  if (!item.contains("answer") && !item.contains("answers")) return scores;
  double tokens = 0.0;
  if (item.contains("tokens") && sum_of(item["tokens"], tokens)) {
    scores["tokens"] = tokens;
  }
  scores["words"] = text::count_words(answer);
  if (item.contains("finish")) scores["ended"] = ended(item["finish"]) ? 1 : 0;
  const Json distinct = stages::distinct_ngrams({answer});
  const double share = json_number_or(distinct, "3", "distinct", 0.0);
  scores["repetition"] = share > 0.0 ? 1.0 - share : 0.0;
  scores["repetitive"] = stages::has_repetition(answer) ? 1 : 0;
  return scores;
}

std::vector<ScoreDifference> score_differences(const std::string& task,
                                               const std::vector<Json>& before,
                                               const std::vector<Json>& after) {
  std::map<std::string, std::map<std::string, double>> others;
  for (const Json& item : after) {
    others[json_string_or(item, "id", task, "")] = scores_of(item);
  }
  // By score, the values of both sides item by item.
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>>
      columns;
  for (const Json& item : before) {
    const auto other = others.find(json_string_or(item, "id", task, ""));
    if (other == others.end()) continue;
    for (const auto& [name, value] : scores_of(item)) {
      const auto same = other->second.find(name);
      if (same == other->second.end()) continue;
      columns[name].first.push_back(value);
      columns[name].second.push_back(same->second);
    }
  }
  std::vector<ScoreDifference> rows;
  for (const auto& [name, sides] : columns) {
    const uint64_t seed = Hasher().add("verbose tax").add(task).add(name).key();
    rows.push_back({task, name, mean(sides.first), mean(sides.second),
                    paired_difference(sides.second, sides.first, seed)});
  }
  return rows;
}

Json verbose_tax(const std::string& folder, const Results& results,
                 const store::Store* store) {
  Json rows = Json::array();
  const auto add = [&rows](const std::vector<ScoreDifference>& found,
                           const std::vector<Metric>& metrics) {
    for (const ScoreDifference& row : found) {
      rows.push_back(row_json(row, metrics));
    }
  };
  if (store != nullptr) {
    add(score_differences("held_out", held_out_items(*store, kBefore),
                          held_out_items(*store, kAfter)),
        {});
  }
  for (const TaskResult& before : results.results) {
    if (before.subject != kBefore) continue;
    for (const TaskResult& after : results.results) {
      if (after.subject != kAfter || after.task != before.task) continue;
      add(score_differences(before.task, read_items(folder, before),
                            read_items(folder, after)),
          before.metrics);
    }
  }
  if (rows.empty()) return Json::object();
  return {{"before", kBefore}, {"after", kAfter}, {"rows", rows}};
}

}  // namespace selfalign::eval
