// SPDX-License-Identifier: Apache-2.0
// Two subjects against each other: from verdicts in both orders to wins, ties,
// position flips and failures, and to the win rate, raw and length-controlled,
// with intervals.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/comparison.h"
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

eval::PairCounts count_pairs(const std::vector<PairVerdict>& pairs);

eval::PairFigures pair_figures(const std::vector<PairVerdict>& pairs,
                               uint64_t seed);

}  // namespace selfalign::judge
