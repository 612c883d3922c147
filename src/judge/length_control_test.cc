// SPDX-License-Identifier: Apache-2.0
#include "judge/length_control.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace selfalign::judge {
namespace {

const std::vector<double> kWins = {1, 1, 0.5, 0, 1, 0, 0.5, 1, 1, 0, 1, 0.5};
const std::vector<double> kDifferences = {120, 340, -20, -200, 90,  15,
                                          60,  410, -75, -310, 220, -5};

// scikit-learn 1.x: LogisticRegression(C=100, fit_intercept=False,
// solver="newton-cholesky") on a column of ones and tanh(d / std(d)); a win of
// 0.5 is a row of each class with half the weight.
TEST(LengthControl, IsThatOfScikitLearn) {
  const LengthControl found = length_control(kWins, kDifferences);
  EXPECT_NEAR(found.win_rate, 0.5704159596431935, 1e-7);
  EXPECT_NEAR(found.slope, 3.0855895767123913, 1e-7);
}

TEST(LengthControl, TheRidgeHoldsWhatIsParted) {
  const LengthControl found =
      length_control({1, 1, 1, 0, 0, 0}, {5, 9, 30, -4, -11, -2});
  EXPECT_NEAR(found.win_rate, 0.2882460486387996, 1e-6);
  EXPECT_NEAR(found.slope, 8.114399989399086, 1e-5);
  const LengthControl all = length_control(std::vector<double>(80, 1.0),
                                           std::vector<double>(80, 7.0));
  EXPECT_GT(all.win_rate, 0.99);
  EXPECT_EQ(all.slope, 0.0);
}

TEST(LengthControl, SwappedSubjectsMirror) {
  std::vector<double> wins = kWins;
  std::vector<double> differences = kDifferences;
  for (double& win : wins) win = 1 - win;
  for (double& d : differences) d = -d;
  const LengthControl found = length_control(kWins, kDifferences);
  const LengthControl mirrored = length_control(wins, differences);
  EXPECT_NEAR(mirrored.win_rate, 1 - found.win_rate, 1e-12);
  EXPECT_NEAR(mirrored.slope, found.slope, 1e-9);
}

// Wins drawn from the model itself: log-odds of `quality` plus `length` times
// tanh(d / s). The first subject's answers are `longer` standard deviations
// longer on average.
struct World {
  double quality;
  double length;
  double longer;
};

struct Found {
  double raw;
  LengthControl controlled;
};

Found draw(const World& world, uint64_t seed) {
  constexpr int kItems = 4000;  // a rate's standard error is below 0.01
  std::vector<double> differences;
  for (int i = 0; i < kItems; ++i) {  // even, of standard deviation 100
    const double even = draw_uniform(seed, uint64_t(2 * i)) - 0.5;
    differences.push_back(100 * (std::sqrt(12) * even + world.longer));
  }
  std::vector<double> wins;
  double sum = 0.0;
  for (int i = 0; i < kItems; ++i) {
    const double logit =
        world.quality + world.length * std::tanh(differences[i] / 100);
    const double rate = 1 / (1 + std::exp(-logit));
    wins.push_back(draw_uniform(seed, uint64_t(2 * i + 1)) < rate ? 1 : 0);
    sum += wins.back();
  }
  return {sum / kItems, length_control(wins, differences)};
}

// Log-odds of 0.62 at equal length are 0.49.
constexpr double kQuality = 0.49;
constexpr double kTrueRate = 0.62;

TEST(LengthControl, FindsTheRateAtEqualLength) {
  const Found liked = draw({kQuality, 2.0, 1.0}, 1);  // long, and liked for it
  EXPECT_GT(liked.raw, kTrueRate + 0.1);
  EXPECT_NEAR(liked.controlled.win_rate, kTrueRate, 0.04);
  EXPECT_NEAR(liked.controlled.slope, 2.0, 0.25);
  // Better answers that lose for being short.
  const Found lost = draw({kQuality, 2.0, -1.0}, 2);
  EXPECT_LT(lost.raw, 0.5);
  EXPECT_NEAR(lost.controlled.win_rate, kTrueRate, 0.04);
  // No better answers that win by length alone.
  const Found even = draw({0.0, 2.0, 1.0}, 3);
  EXPECT_GT(even.raw, 0.65);
  EXPECT_NEAR(even.controlled.win_rate, 0.5, 0.04);
}

TEST(LengthControl, WhereLengthTellsNothingTheRateIsTheRaw) {
  const Found found = draw({kQuality, 0.0, 1.0}, 4);
  EXPECT_NEAR(found.raw, kTrueRate, 0.03);
  EXPECT_NEAR(found.controlled.win_rate, kTrueRate, 0.04);
  EXPECT_NEAR(found.controlled.slope, 0.0, 0.2);
  const Found null = draw({0.0, 0.0, 1.0}, 5);
  EXPECT_NEAR(null.controlled.win_rate, 0.5, 0.04);
  EXPECT_NEAR(null.controlled.slope, 0.0, 0.2);
}

TEST(LengthControl, WithoutItemsThereIsNothingToTell) {
  EXPECT_EQ(length_control({}, {}).win_rate, 0.5);
  EXPECT_EQ(length_control({1, 0}, {3, 3}).win_rate, 0.5);
}

TEST(LinearSlope, OfALine) {
  EXPECT_DOUBLE_EQ(linear_slope({0, 1, 2, 5}, {3, 5, 7, 13}), 2.0);
  EXPECT_EQ(linear_slope({4, 4}, {1, 2}), 0.0);
  EXPECT_EQ(linear_slope({}, {}), 0.0);
}

}  // namespace
}  // namespace selfalign::judge
