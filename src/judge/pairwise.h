// SPDX-License-Identifier: Apache-2.0
// Two subjects against each other: from verdicts in both orders to wins, ties,
// position flips and failures, and to the win rate, raw and length-controlled,
// with intervals.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/statistics.h"
#include "judge/verdict.h"

namespace selfalign::judge {

// The verdicts about one pair of answers.
struct PairVerdict {
  std::string question;  // items of one question are drawn together
  std::string category;
  // With a's answer first and with b's first, as they were given. A judge that
  // sees one order alone (a person) has both alike: swapped(first) second.
  Verdict a_first = Verdict::kNone;
  Verdict b_first = Verdict::kNone;
  double length_a = 0.0;  // characters
  double length_b = 0.0;
};

// A win needs both orders to agree; all else that has two verdicts is a tie. An
// item that lacks a verdict is a failure.
enum class Outcome { kWinA, kWinB, kTie, kFailure };
Outcome outcome(const PairVerdict& pair);
// Both orders preferred the answer in the same place.
bool is_flip(const PairVerdict& pair);

struct PairCounts {
  int64_t num_items = 0;
  int64_t wins_a = 0;
  int64_t wins_b = 0;
  int64_t ties = 0;  // flips among them
  int64_t flips = 0;
  int64_t failures = 0;
  // Of a, over all items: a tie and a failure count as half a win.
  double win_rate() const;
  double win_rate_failures_lost() const;
  double win_rate_failures_won() const;
};
PairCounts count_pairs(const std::vector<PairVerdict>& pairs);

struct PairFigures {
  PairCounts counts;
  eval::Interval interval;  // of the win rate: bootstrap over questions
  // At equal length (length_control.h), over items without failure.
  double win_rate_length_controlled = 0.5;
  eval::Interval length_controlled;
  double length_slope = 0.0;
  // The judge with itself over the two orders, where both have a verdict.
  double order_agreement = 0.0;
  double order_kappa = 0.0;
  std::map<std::string, PairCounts> by_category;
};
PairFigures pair_figures(const std::vector<PairVerdict>& pairs, uint64_t seed);

// Rates are null where no item has a verdict.
// {"wins_a", "wins_b", "ties", "flips", "failures", "num_items", "win_rate",
// ...} as in docs/formats.md.
Json to_json(const judge::PairFigures& figures);

}  // namespace selfalign::judge
