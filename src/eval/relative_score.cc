// SPDX-License-Identifier: Apache-2.0
#include "eval/relative_score.h"

#include <vector>

#include "eval/result_items.h"
#include "eval/statistics.h"

namespace selfalign::eval {
namespace {

// Of what both were marked for.
struct Sums {
  double a = 0.0;
  double b = 0.0;
  int64_t num_items = 0;

  void add(const Sums& more) {
    a += more.a;
    b += more.b;
    num_items += more.num_items;
  }
  double ratio() const { return b > 0 ? a / b : 0.0; }
};

Json sums_json(const Sums& sums) {
  return Json{{"value", sums.ratio()},
              {"sum_a", sums.a},
              {"sum_b", sums.b},
              {"num_items", sums.num_items}};
}

}  // namespace

AnswerMarks logged_marks(const std::string& folder, const TaskResult& result) {
  AnswerMarks marks;
  for (const Json& item : read_items(folder, result.items, result.keys)) {
    const Json verdict = item.value("verdict", Json());
    if (item.value("kind", Json()) != "single" || !verdict.is_number() ||
        item.value("subject", Json()) != result.subject) {
      continue;
    }
    const std::string id = json_string_or(item, "id", result.items, "");
    marks[{id, json_int_or(item, "turn", result.items, 1)}] = {
        json_string_or(item, "group", result.items, ""), verdict.get<double>()};
  }
  return marks;
}

Json relative_score(const AnswerMarks& a, const AnswerMarks& b, uint64_t seed) {
  std::map<std::string, Sums> questions;
  std::map<std::string, Sums> categories;
  Sums all;
  for (const auto& [place, mark] : a) {
    const auto other = b.find(place);
    if (other == b.end()) continue;
    const Sums one{mark.mark, other->second.mark, 1};
    questions[place.first].add(one);
    if (!mark.category.empty()) categories[mark.category].add(one);
    all.add(one);
  }
  if (all.num_items == 0) return Json();
  std::vector<Sums> list;
  for (const auto& [question, sums] : questions) list.push_back(sums);
  const Interval interval = bootstrap(
      int64_t(list.size()),
      [&list](const std::vector<uint32_t>& sample) {
        Sums drawn;
        for (const uint32_t i : sample) drawn.add(list[i]);
        return drawn.ratio();
      },
      seed);
  Json score = sums_json(all);
  score["low"] = interval.low;
  score["high"] = interval.high;
  score["unmarked"] = int64_t(a.size()) + int64_t(b.size()) - 2 * all.num_items;
  score["by_category"] = Json::object();
  for (const auto& [category, sums] : categories) {
    score["by_category"][category] = sums_json(sums);
  }
  return score;
}

Json with_relative_score(const std::string& folder, const Results& results,
                         const ComparedBy& of, uint64_t seed) {
  const auto marks = [&](const std::string& subject) {
    for (const TaskResult& result : results.results) {
      if (result.task == of.task + ".judge." + of.judge &&
          result.subject == subject) {
        return logged_marks(folder, result);
      }
    }
    return AnswerMarks();
  };
  Json score = relative_score(marks(of.a), marks(of.b), seed);
  if (score.is_null()) return score;
  Json comparison{{"task", of.task},
                  {"judge", of.judge},
                  {"a", of.a},
                  {"b", of.b},
                  {"settings", of.decoding}};
  const std::string decoding = decoding_of(of.decoding);
  for (const Json& one : results.comparisons) {
    if (one["task"] == of.task && one["judge"] == of.judge &&
        one["a"] == of.a && one["b"] == of.b &&
        decoding_of(one.value("settings", Json())) == decoding) {
      comparison = one;
    }
  }
  comparison["relative_score"] = std::move(score);
  return comparison;
}

}  // namespace selfalign::eval
