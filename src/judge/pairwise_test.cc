// SPDX-License-Identifier: Apache-2.0
#include "judge/pairwise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace selfalign::judge {
namespace {

using eval::PairCounts;
using eval::PairFigures;

PairVerdict pair(Verdict a_first, Verdict b_first) {
  return {"1", "writing", a_first, b_first, 10, 10};
}

std::vector<PairVerdict> pairs(int count, Verdict a_first, Verdict b_first) {
  std::vector<PairVerdict> all;
  for (int i = 0; i < count; ++i) {
    all.push_back(pair(a_first, b_first));
    all.back().question = std::to_string(i);
  }
  return all;
}

TEST(Pairwise, AWinNeedsBothOrders) {
  using enum Verdict;
  EXPECT_EQ(outcome(pair(kFirst, kSecond)), Outcome::kWinA);
  EXPECT_EQ(outcome(pair(kSecond, kFirst)), Outcome::kWinB);
  for (const auto& [one, other] : {std::pair(kFirst, kFirst),
                                   {kSecond, kSecond},
                                   {kTie, kTie},
                                   {kFirst, kTie},
                                   {kTie, kFirst},
                                   {kTie, kSecond}}) {
    EXPECT_EQ(outcome(pair(one, other)), Outcome::kTie);
    EXPECT_EQ(is_flip(pair(one, other)), one == other && one != kTie);
  }
  for (const Verdict other : {kNone, kFirst, kSecond, kTie}) {
    EXPECT_EQ(outcome(pair(kNone, other)), Outcome::kFailure);
    EXPECT_EQ(outcome(pair(other, kNone)), Outcome::kFailure);
    EXPECT_FALSE(is_flip(pair(kNone, other)));
  }
}

TEST(Pairwise, WinRateStandsOverAllItemsWithBothBounds) {
  using enum Verdict;
  std::vector<PairVerdict> all = pairs(5, kFirst, kSecond);
  for (const auto& more :
       {pairs(2, kSecond, kFirst), pairs(1, kTie, kTie), pairs(2, kNone, kTie)})
    all.insert(all.end(), more.begin(), more.end());
  const PairFigures figures = pair_figures(all, 1);
  const PairCounts& counts = figures.counts;
  EXPECT_EQ(counts.num_items, 10);
  EXPECT_EQ(counts.failures, 2);
  EXPECT_DOUBLE_EQ(*counts.win_rate, 0.65);
  EXPECT_DOUBLE_EQ(*figures.win_rate_failures_lost, 0.55);
  EXPECT_DOUBLE_EQ(*figures.win_rate_failures_won, 0.75);
}

TEST(Pairwise, WhoAlwaysSaysTheFirstFlipsAndNeverWins) {
  const PairFigures figures =
      pair_figures(pairs(30, Verdict::kFirst, Verdict::kFirst), 1);
  EXPECT_EQ(figures.counts.flips, 30);
  EXPECT_EQ(figures.counts.ties, 30);
  EXPECT_EQ(figures.counts.wins_a + figures.counts.wins_b, 0);
  EXPECT_EQ(figures.counts.win_rate, 0.5);
  EXPECT_EQ(figures.orders->agreement, 0.0);
}

std::vector<PairVerdict> random_pairs(int count) {
  std::vector<PairVerdict> all;
  for (int i = 0; i < count; ++i) {
    const auto draw = [&](int t) { return draw_index(99, uint64_t(t), 4); };
    PairVerdict verdict = pair(Verdict(draw(2 * i)), Verdict(draw(2 * i + 1)));
    verdict.question = std::to_string(i / 2);
    verdict.length_a = double(draw_index(7, uint64_t(i), 900));
    verdict.length_b = double(draw_index(8, uint64_t(i), 900));
    all.push_back(verdict);
  }
  return all;
}

TEST(Pairwise, SwappedSubjectsMirrorEveryFigure) {
  const std::vector<PairVerdict> all = random_pairs(300);
  std::vector<PairVerdict> mirrored = all;
  for (PairVerdict& pair : mirrored) {
    std::swap(pair.a_first, pair.b_first);
    std::swap(pair.length_a, pair.length_b);
  }
  const PairFigures one = pair_figures(all, 5);
  const PairFigures other = pair_figures(mirrored, 5);
  EXPECT_EQ(one.counts.wins_a, other.counts.wins_b);
  EXPECT_EQ(one.counts.flips, other.counts.flips);
  EXPECT_EQ(one.counts.failures, other.counts.failures);
  EXPECT_NEAR(*one.counts.win_rate, 1 - *other.counts.win_rate, 1e-12);
  EXPECT_NEAR(*one.low, 1 - *other.high, 1e-9);
  EXPECT_NEAR(*one.win_rate_length_controlled,
              1 - *other.win_rate_length_controlled, 1e-9);
  EXPECT_NEAR(*one.lc_low, 1 - *other.lc_high, 1e-6);
  EXPECT_NEAR(*one.length_slope, *other.length_slope, 1e-6);
  EXPECT_NEAR(*one.orders->kappa, *other.orders->kappa, 1e-12);
}

TEST(Pairwise, ARandomJudgeIsAtHalf) {
  const PairFigures figures = pair_figures(random_pairs(2000), 3);
  EXPECT_NEAR(*figures.counts.win_rate, 0.5, 0.03);
  EXPECT_LT(*figures.low, 0.5);
  EXPECT_GT(*figures.high, 0.5);
  EXPECT_NEAR(*figures.win_rate_length_controlled, 0.5, 0.05);
  EXPECT_NEAR(*figures.orders->kappa, 0.0, 0.1);
}

// Both turns of a question rise and fall together, so an interval over
// questions is wider than one over as many items of their own.
TEST(Pairwise, IntervalsDrawQuestionsNotItems) {
  std::vector<PairVerdict> apart;
  for (int i = 0; i < 160; ++i) {
    const bool won = i / 2 % 2 == 0;
    PairVerdict verdict = won ? pair(Verdict::kFirst, Verdict::kSecond)
                              : pair(Verdict::kSecond, Verdict::kFirst);
    verdict.question = std::to_string(i);
    apart.push_back(verdict);
  }
  std::vector<PairVerdict> together = apart;
  for (size_t i = 0; i < together.size(); ++i) {
    together[i].question = std::to_string(i / 2);
  }
  const PairFigures items = pair_figures(apart, 4);
  const PairFigures questions = pair_figures(together, 4);
  EXPECT_NEAR((*questions.high - *questions.low) / (*items.high - *items.low),
              std::sqrt(2.0), 0.15);
}

TEST(Pairwise, JsonHasEveryFigureAndCategory) {
  std::vector<PairVerdict> all = pairs(3, Verdict::kFirst, Verdict::kSecond);
  all[2].category = "math";
  all[2].a_first = Verdict::kNone;
  const Json json = to_json(pair_figures(all, 1));
  for (const char* name :
       {"wins_a", "wins_b", "ties", "flips", "failures", "num_items",
        "win_rate", "low", "high", "win_rate_length_controlled", "lc_low",
        "lc_high", "length_slope"})
    EXPECT_TRUE(json.contains(name)) << name;
  EXPECT_EQ(json["by_category"]["writing"]["wins_a"], 2);
  EXPECT_EQ(json["by_category"]["math"]["failures"], 1);
}

TEST(Pairwise, NoItemsAreNoError) {
  const PairFigures figures = pair_figures({}, 1);
  EXPECT_EQ(figures.counts.num_items, 0);
  EXPECT_FALSE(figures.counts.win_rate);
  EXPECT_FALSE(figures.win_rate_length_controlled);
}

}  // namespace
}  // namespace selfalign::judge
