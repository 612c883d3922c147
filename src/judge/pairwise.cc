// SPDX-License-Identifier: Apache-2.0
#include "judge/pairwise.h"

#include <map>

#include "eval/statistics.h"
#include "judge/agreement.h"
#include "judge/length_control.h"

namespace selfalign::judge {

using eval::PairCounts;
using eval::PairFigures;

namespace {

double win(const PairVerdict& pair) {
  switch (outcome(pair)) {
    case Outcome::kWinA:
      return 1.0;
    case Outcome::kWinB:
      return 0.0;
    default:
      return 0.5;
  }
}

double share(double part, int64_t n) { return n > 0 ? part / double(n) : 0.0; }

// Numbers of the items of each question.
std::vector<std::vector<size_t>> by_question(
    const std::vector<PairVerdict>& pairs) {
  std::map<std::string, size_t> places;
  std::vector<std::vector<size_t>> questions;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const auto [at, fresh] =
        places.emplace(pairs[i].question, questions.size());
    if (fresh) questions.emplace_back();
    questions[at->second].push_back(i);
  }
  return questions;
}

LengthControl controlled(const std::vector<PairVerdict>& pairs,
                         const std::vector<size_t>& items) {
  std::vector<double> wins;
  std::vector<double> differences;
  for (const size_t i : items) {
    if (outcome(pairs[i]) == Outcome::kFailure) continue;
    wins.push_back(win(pairs[i]));
    differences.push_back(pairs[i].length_a - pairs[i].length_b);
  }
  return length_control(wins, differences);
}

eval::OrderAgreement order_agreement(const std::vector<PairVerdict>& pairs) {
  std::vector<int> one_order;
  std::vector<int> other_order;
  for (const PairVerdict& pair : pairs) {
    if (outcome(pair) == Outcome::kFailure) continue;
    one_order.push_back(int(pair.a_first));
    other_order.push_back(int(swapped(pair.b_first)));
  }
  if (one_order.empty()) return {};
  const Agreement orders = agreement(one_order, other_order);
  return {orders.raw, orders.kappa};
}

}  // namespace

Outcome outcome(const PairVerdict& pair) {
  if (pair.a_first == Verdict::kNone || pair.b_first == Verdict::kNone) {
    return Outcome::kFailure;
  }
  if (pair.a_first != swapped(pair.b_first)) return Outcome::kTie;
  if (pair.a_first == Verdict::kFirst) return Outcome::kWinA;
  return pair.a_first == Verdict::kSecond ? Outcome::kWinB : Outcome::kTie;
}

bool is_flip(const PairVerdict& pair) {
  return pair.a_first == pair.b_first &&
         (pair.a_first == Verdict::kFirst || pair.a_first == Verdict::kSecond);
}

PairCounts count_pairs(const std::vector<PairVerdict>& pairs) {
  PairCounts counts;
  counts.num_items = int64_t(pairs.size());
  for (const PairVerdict& pair : pairs) {
    switch (outcome(pair)) {
      case Outcome::kWinA:
        ++counts.wins_a;
        break;
      case Outcome::kWinB:
        ++counts.wins_b;
        break;
      case Outcome::kTie:
        ++counts.ties;
        break;
      case Outcome::kFailure:
        ++counts.failures;
        break;
    }
    if (is_flip(pair)) ++counts.flips;
  }
  if (counts.failures < counts.num_items) {
    counts.win_rate =
        share(double(counts.wins_a) + double(counts.ties + counts.failures) / 2,
              counts.num_items);
  }
  return counts;
}

PairFigures pair_figures(const std::vector<PairVerdict>& pairs, uint64_t seed) {
  PairFigures figures;
  figures.counts = count_pairs(pairs);
  const PairCounts& counts = figures.counts;
  figures.orders = order_agreement(pairs);
  std::map<std::string, std::vector<PairVerdict>> categories;
  for (const PairVerdict& pair : pairs) {
    categories[pair.category].push_back(pair);
  }
  for (const auto& [category, part] : categories) {
    figures.by_category[category] = count_pairs(part);
  }
  if (!counts.win_rate) return figures;
  const std::vector<std::vector<size_t>> questions = by_question(pairs);
  const auto items_of = [&](const std::vector<uint32_t>& sample) {
    std::vector<size_t> items;
    for (const uint32_t q : sample) {
      items.insert(items.end(), questions[q].begin(), questions[q].end());
    }
    return items;
  };
  const auto num_questions = int64_t(questions.size());
  const eval::Interval interval = eval::bootstrap(
      num_questions,
      [&](const std::vector<uint32_t>& sample) {
        const std::vector<size_t> items = items_of(sample);
        double sum = 0.0;
        for (const size_t i : items) sum += win(pairs[i]);
        return share(sum, int64_t(items.size()));
      },
      seed);
  figures.low = interval.low;
  figures.high = interval.high;
  figures.win_rate_failures_lost =
      share(double(counts.wins_a) + double(counts.ties) / 2, counts.num_items);
  figures.win_rate_failures_won =
      share(double(counts.wins_a + counts.failures) + double(counts.ties) / 2,
            counts.num_items);
  const eval::Interval at_equal_length = eval::bootstrap(
      num_questions,
      [&](const std::vector<uint32_t>& sample) {
        return controlled(pairs, items_of(sample)).win_rate;
      },
      seed);
  figures.lc_low = at_equal_length.low;
  figures.lc_high = at_equal_length.high;
  std::vector<size_t> all(pairs.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  const LengthControl control = controlled(pairs, all);
  figures.win_rate_length_controlled = control.win_rate;
  figures.length_slope = control.slope;
  return figures;
}

}  // namespace selfalign::judge
