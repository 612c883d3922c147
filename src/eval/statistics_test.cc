// SPDX-License-Identifier: Apache-2.0
#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace selfalign::eval {
namespace {

// Newcombe 1998, "Two-sided confidence intervals for the single proportion",
// table I, method 3.
TEST(WilsonTest, IsWhatThePublishedTableHas) {
  const auto expect = [](double successes, int64_t n, double low, double high) {
    const Interval interval = wilson(successes, n);
    EXPECT_NEAR(interval.low, low, 5e-5) << successes << " of " << n;
    EXPECT_NEAR(interval.high, high, 5e-5) << successes << " of " << n;
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0.0000, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
  expect(20, 20, 0.8389, 1.0000);
  expect(0, 0, 0.0, 1.0);
}

std::vector<double> normal_values(size_t n) {
  std::vector<double> values;
  for (size_t i = 0; i < n; ++i) {
    const double u = 1.0 - draw_uniform(5, 2 * i);
    values.push_back(std::sqrt(-2 * std::log(u)) *
                     std::cos(6.283185307179586 * draw_uniform(5, 2 * i + 1)));
  }
  return values;
}

TEST(BootstrapTest, OfAMeanIsTheNormalInterval) {
  const std::vector<double> values = normal_values(1000);
  double squares = 0.0;
  for (const double v : values) {
    squares += (v - mean(values)) * (v - mean(values));
  }
  const double half = 1.96 * std::sqrt(squares / 1000 / 1000);
  const Interval interval = bootstrap_mean(values, 3);
  EXPECT_NEAR(interval.low, mean(values) - half, 0.1 * half);
  EXPECT_NEAR(interval.high, mean(values) + half, 0.1 * half);
}

// Of 200 draws of 50 from a coin, about 95 % of the intervals hold 1/2.
TEST(BootstrapTest, CoversTheTruthAsOftenAsItSays) {
  int covered = 0;
  for (uint64_t draw = 0; draw < 200; ++draw) {
    std::vector<double> coins;
    for (uint64_t i = 0; i < 50; ++i) {
      coins.push_back(static_cast<double>(draw_index(draw + 1000, i, 2)));
    }
    const Interval interval = bootstrap_mean(coins, draw);
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
  }
  EXPECT_GE(covered, 180);
  EXPECT_LE(covered, 198);
}

TEST(BootstrapTest, IsTheSameBitsForTheSameSeed) {
  const std::vector<double> values = normal_values(30);
  const Interval a = bootstrap_mean(values, 1);
  const Interval b = bootstrap_mean(values, 1);
  const Interval c = bootstrap_mean(values, 2);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_NE(a.low, c.low);
}

TEST(BootstrapTest, QuantilesAreInterpolated) {
  // The statistic of sample s is s: of 0..10 the quantiles are 0.25 and 9.75.
  int next = 0;
  const Interval interval = bootstrap(
      1, [&](const std::vector<uint32_t>&) { return double(next++); }, 1, 11);
  EXPECT_DOUBLE_EQ(interval.low, 0.25);
  EXPECT_DOUBLE_EQ(interval.high, 9.75);
  EXPECT_EQ(bootstrap_mean({}, 1).high, 0.0);
}

TEST(PairedTest, WhatBothShareIsNoDoubt) {
  std::vector<double> a = normal_values(200);
  std::vector<double> b = a;
  for (size_t i = 0; i < a.size(); ++i) a[i] += i % 2 == 0 ? 0.2 : 0.4;
  const Paired paired = paired_difference(a, b, 1);
  EXPECT_NEAR(paired.difference, 0.3, 1e-12);
  EXPECT_GT(paired.low, 0.28);
  EXPECT_LT(paired.high, 0.32);
  EXPECT_EQ(paired.n, 200);
}

}  // namespace
}  // namespace selfalign::eval
