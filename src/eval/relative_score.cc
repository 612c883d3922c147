// SPDX-License-Identifier: Apache-2.0
#include "eval/relative_score.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "eval/result_items.h"
#include "eval/statistics.h"

namespace selfalign::eval {
namespace {

void add(double a, double b, MarkSums& sums) {
  sums.a += a;
  sums.b += b;
  ++sums.num_items;
}

double ratio(double a, double b) { return b > 0 ? a / b : 0.0; }

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

std::optional<RelativeScore> relative_score(const AnswerMarks& a,
                                            const AnswerMarks& b,
                                            uint64_t seed) {
  std::map<std::string, MarkSums> questions;
  RelativeScore score;
  for (const auto& [place, mark] : a) {
    const auto other = b.find(place);
    if (other == b.end()) continue;
    add(mark.mark, other->second.mark, questions[place.first]);
    add(mark.mark, other->second.mark, score.sums);
    if (mark.category.empty()) continue;
    add(mark.mark, other->second.mark, score.by_category[mark.category]);
  }
  if (score.sums.num_items == 0) return std::nullopt;
  std::vector<MarkSums> list;
  list.reserve(questions.size());
  for (const auto& [question, sums] : questions) list.push_back(sums);
  const Interval interval = bootstrap(
      int64_t(list.size()),
      [&list](const std::vector<uint32_t>& sample) {
        double sum_a = 0.0;
        double sum_b = 0.0;
        for (const uint32_t i : sample) {
          sum_a += list[i].a;
          sum_b += list[i].b;
        }
        return ratio(sum_a, sum_b);
      },
      seed);
  score.low = interval.low;
  score.high = interval.high;
  score.num_unmarked =
      int64_t(a.size()) + int64_t(b.size()) - 2 * score.sums.num_items;
  score.sums.ratio = ratio(score.sums.a, score.sums.b);
  for (auto& [category, sums] : score.by_category) {
    sums.ratio = ratio(sums.a, sums.b);
  }
  return score;
}

std::optional<Comparison> with_relative_score(const std::string& folder,
                                              const Results& results,
                                              const Comparison& named,
                                              uint64_t seed) {
  const auto marks = [&](const std::string& subject) {
    for (const TaskResult& result : results.results) {
      if (result.task == named.task + ".judge." + named.judge &&
          result.subject == subject) {
        return logged_marks(folder, result);
      }
    }
    return AnswerMarks();
  };
  auto score = relative_score(marks(named.a), marks(named.b), seed);
  if (!score) return std::nullopt;
  const auto known = std::find_if(
      results.comparisons.begin(), results.comparisons.end(),
      [&named](const Comparison& one) { return is_same(one, named); });
  Comparison comparison = known == results.comparisons.end() ? named : *known;
  comparison.relative_score = std::move(score);
  return comparison;
}

}  // namespace selfalign::eval
