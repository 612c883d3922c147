// SPDX-License-Identifier: Apache-2.0
#include "judge/agreement.h"

#include <gtest/gtest.h>

namespace selfalign::judge {
namespace {

// 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: raw 0.7, chance
// 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa 0.4.
TEST(Agreement, KappaOfAKnownTable) {
  std::vector<int> first;
  std::vector<int> second;
  const auto add = [&](int count, int a, int b) {
    first.insert(first.end(), size_t(count), a);
    second.insert(second.end(), size_t(count), b);
  };
  add(20, 1, 1);
  add(5, 1, 0);
  add(10, 0, 1);
  add(15, 0, 0);
  const Agreement found = agreement(first, second);
  EXPECT_EQ(found.num_items, 50);
  EXPECT_DOUBLE_EQ(found.raw, 0.7);
  EXPECT_NEAR(found.kappa, 0.4, 1e-12);
}

TEST(Agreement, EndsOfTheScale) {
  EXPECT_EQ(agreement({}, {}).num_items, 0);
  EXPECT_DOUBLE_EQ(agreement({0, 1, 2}, {0, 1, 2}).kappa, 1.0);
  EXPECT_DOUBLE_EQ(agreement({0, 1}, {1, 0}).kappa, -1.0);
  // Who always says the same agrees no better than by chance.
  EXPECT_DOUBLE_EQ(agreement({2, 2}, {2, 2}).raw, 1.0);
  EXPECT_DOUBLE_EQ(agreement({2, 2}, {2, 2}).kappa, 0.0);
}

}  // namespace
}  // namespace selfalign::judge
