// SPDX-License-Identifier: Apache-2.0
#include "stages/topic_growth.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace selfalign::stages {
namespace {

struct Grown {
  int64_t num_requests = 0;
  int num_rounds = 0;
};

// A type of 3 seeds whose requests list 5 topics each, drawn from `num_kinds`.
// After 1,000 rounds, far more than a type may have, it fails.
Grown grow(TopicGrowth& growth, uint64_t num_kinds) {
  std::set<uint64_t> known;
  Grown grown;
  for (uint64_t key = 0; grown.num_rounds < 1000;) {
    const int64_t count = growth.next_round(3 + known.size(), 5);
    if (count == 0) return grown;
    ++grown.num_rounds;
    grown.num_requests += count;
    for (int64_t i = 0; i < 5 * count; ++i) {
      known.insert(draw_index(++key, 0, num_kinds));
    }
  }
  ADD_FAILURE() << "goes on after " << grown.num_requests << " requests";
  return grown;
}

TEST(TopicGrowth, EndsWhenThereAreEnough) {
  TopicGrowth growth(1000, 3, 20);
  const Grown grown = grow(growth, 1'000'000);
  EXPECT_GE(growth.num_new(), 1000);
  EXPECT_LT(growth.num_new(), 1020);
  EXPECT_FALSE(growth.saturated());
  // No more requests than topics to show: 4, 23, 138, and the rest.
  EXPECT_EQ(grown.num_rounds, 4);
  EXPECT_LE(grown.num_requests, 204);
}

TEST(TopicGrowth, EndsWhenNothingNewComes) {
  TopicGrowth growth(1000, 3, 20);
  const Grown grown = grow(growth, 60);
  EXPECT_TRUE(growth.saturated());
  EXPECT_EQ(growth.num_new(), 60);
  EXPECT_LT(grown.num_requests, 300);
}

// One request without a new topic is bad luck, four of them are not.
TEST(TopicGrowth, OneDryRequestIsNoSaturation) {
  TopicGrowth growth(5, 3, 20);
  EXPECT_EQ(growth.next_round(3, 5), 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(growth.next_round(3, 5), 1);
  EXPECT_EQ(growth.next_round(3, 5), 0);
  EXPECT_TRUE(growth.saturated());
  TopicGrowth lucky(5, 3, 20);
  EXPECT_EQ(lucky.next_round(3, 5), 1);
  EXPECT_EQ(lucky.next_round(3, 5), 1);
  EXPECT_EQ(lucky.next_round(7, 5), 1);
  EXPECT_EQ(lucky.next_round(8, 5), 0);
  EXPECT_FALSE(lucky.saturated());
  EXPECT_EQ(lucky.num_new(), 5);
}

// In the only round all are asked for at once.
TEST(TopicGrowth, OneRoundAsksForAll) {
  EXPECT_EQ(TopicGrowth(1000, 3, 1).next_round(3, 7), 143);
  EXPECT_EQ(TopicGrowth(1000, 3, 2).next_round(3, 7), 4);
  EXPECT_EQ(TopicGrowth(7, 3, 1).next_round(3, 7), 1);
  EXPECT_EQ(TopicGrowth(0, 3, 1).next_round(3, 7), 0);
}

TEST(TopicGrowth, TheLineSaysWhatCame) {
  const Json figures{{"asked_for", 40},
                     {"rounds", 3},
                     {"types",
                      {{"Riddles", {{"new", 12}, {"saturated", true}}},
                       {"News", {{"new", 41}, {"saturated", false}}}}}};
  EXPECT_EQ(topics_line(figures),
            "topics: 40 asked for by type; 12 to 41 came in 3 rounds; "
            "saturated: Riddles (12)");
  EXPECT_EQ(topics_line(TopicFigures()), "");
}

}  // namespace
}  // namespace selfalign::stages
