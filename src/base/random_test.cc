// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace selfalign {
namespace {

using testing::ElementsAre;

// Known answers published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_THAT(philox4x32({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  const uint32_t ones = 0xffffffff;
  EXPECT_THAT(philox4x32({ones, ones, ones, ones}, {ones, ones}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                         {0xa4093822, 0x299f31d0}),
              ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(Draw, IsAFunctionOfKeyAndNumber) {
  EXPECT_EQ(draw_bits(7, 3), draw_bits(7, 3));
  EXPECT_NE(draw_bits(7, 3), draw_bits(7, 4));
  EXPECT_NE(draw_bits(7, 3), draw_bits(8, 3));
  // Both halves of key and number count.
  EXPECT_NE(draw_bits(7, 3), draw_bits(7 + (uint64_t{1} << 32), 3));
  EXPECT_NE(draw_bits(7, 3), draw_bits(7, 3 + (uint64_t{1} << 32)));
  EXPECT_EQ(draw_bits(0, 0), 0x6627e8d5);
}

TEST(Draw, UniformFillsTheUnitInterval) {
  constexpr int kDraws = 100000;
  double sum = 0;
  double square = 0;
  double low = 1;
  double high = 0;
  for (int t = 0; t < kDraws; ++t) {
    const double u = draw_uniform(42, t);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    square += u * u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  // Five standard deviations of the mean: 5 * sqrt(1/12 / kDraws).
  EXPECT_NEAR(sum / kDraws, 0.5, 0.0046);
  EXPECT_NEAR(square / kDraws, 1.0 / 3, 0.005);
  EXPECT_LT(low, 1e-3);
  EXPECT_GT(high, 1 - 1e-3);
}

TEST(Draw, IndexIsEven) {
  constexpr int kDraws = 60000;
  std::vector<int> counts(6);
  for (int t = 0; t < kDraws; ++t) ++counts.at(draw_index(1, t, 6));
  // Expected 10,000 each, standard deviation 91.
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 6, 500);
  EXPECT_EQ(draw_index(1, 0, 1), 0u);
  EXPECT_LT(draw_index(1, 0, ~uint64_t{0}), ~uint64_t{0});
}

TEST(Sample, IsPartOfAPermutation) {
  std::vector<uint32_t> all = draw_sample(5, 100, 100);
  const std::vector<uint32_t> first(all.begin(), all.begin() + 10);
  EXPECT_EQ(draw_sample(5, 100, 10), first);
  std::sort(all.begin(), all.end());
  std::vector<uint32_t> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
  EXPECT_TRUE(draw_sample(5, 0, 0).empty());
}

TEST(Sample, EveryOrderComesUp) {
  std::vector<int> counts(27);
  for (uint64_t key = 0; key < 6000; ++key) {
    const auto s = draw_sample(key, 3, 3);
    ++counts[s[0] * 9 + s[1] * 3 + s[2]];
  }
  int orders = 0;
  for (const int count : counts) {
    if (count == 0) continue;
    ++orders;
    EXPECT_NEAR(count, 1000, 150);  // five standard deviations of 29
  }
  EXPECT_EQ(orders, 6);
}

TEST(SampleDeathTest, RefusesMoreThanThereIs) {
  EXPECT_DEATH(draw_sample(1, 3, 4), "a sample of 4 from 3");
}

}  // namespace
}  // namespace selfalign
