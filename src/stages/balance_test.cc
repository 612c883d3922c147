// SPDX-License-Identifier: Apache-2.0
#include "stages/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "base/random.h"
#include "stages/rounds.h"

namespace selfalign::stages {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Rounds, AWholeRoundIsAlwaysUnderWay) {
  EXPECT_EQ(known_before(0), 0);
  EXPECT_EQ(known_before(127), 0);
  EXPECT_EQ(known_before(128), 64);
  EXPECT_EQ(known_before(192), 128);
  int64_t before = 0;
  for (int64_t n = 0; n < 20000; ++n) {
    const int64_t known = known_before(n);
    ASSERT_GE(known, before);
    ASSERT_LE(known, std::max<int64_t>(0, n - 64));
    ASSERT_GE(known * 2, n - 128);
    before = known;
  }
}

TEST(LargestRemainder, GivesAllAndNoMore) {
  EXPECT_THAT(largest_remainder(10, {1, 1, 1}, {2, 1, 0}),
              ElementsAre(3, 3, 4));
  EXPECT_THAT(largest_remainder(10, {6, 3, 1}, {0, 1, 2}),
              ElementsAre(6, 3, 1));
  EXPECT_THAT(largest_remainder(7, {5.3, 0, 4.7}, {0, 1, 2}),
              ElementsAre(4, 0, 3));
  EXPECT_THAT(largest_remainder(2, {1, 1, 1, 1}, {3, 1, 0, 2}),
              ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(largest_remainder(5, {0, 0}, {0, 1}), ElementsAre(0, 0));
}

// Three types, "a" with most topics.
std::vector<TypeTopics> three_types() {
  std::vector<TypeTopics> types = {
      {"a", 1.0, {}}, {"b", 1.0, {}}, {"c", 2.0, {}}};
  for (size_t i = 0; i < 30; ++i) types[0].topics.push_back(i);
  for (size_t i = 30; i < 40; ++i) types[1].topics.push_back(i);
  for (size_t i = 40; i < 44; ++i) types[2].topics.push_back(i);
  return types;
}

std::string type_of(size_t topic) {
  return topic < 30 ? "a" : topic < 40 ? "b" : "c";
}

struct Spread {
  std::vector<size_t> topics;  // of the requests whose outcome counted
  std::map<std::string, int64_t> kept;
  Json figures;
  std::string short_types;
};

// Runs the requests with up to `slots` of them under way; a question is good
// with the probability of its type.
Spread spread(const BalanceOptions& options, size_t slots,
              std::map<std::string, double> good) {
  TypeBalance balance(options, three_types());
  Spread result;
  std::deque<std::vector<size_t>> under_way;
  int64_t planned = 0;
  int64_t accepted = 0;
  for (bool more = true; more;) {
    while (under_way.size() < slots && planned < options.max_requests &&
           balance.needs(planned) <= accepted) {
      under_way.push_back(balance.next_topics(planned++));
    }
    if (under_way.empty()) break;
    const std::vector<size_t> topics = under_way.front();
    under_way.pop_front();
    std::vector<std::string> asked;
    for (const size_t topic : topics) {
      const std::string type = type_of(topic);
      if (draw_uniform(99, result.topics.size()) < good[type] &&
          !balance.is_full(type)) {
        balance.add_kept(type);
        ++result.kept[type];
      }
      result.topics.push_back(topic);
      asked.push_back(type);
    }
    balance.add_outcome(asked);
    ++accepted;
    more = !balance.finished();
  }
  result.figures = balance.figures();
  result.short_types = balance.short_types();
  return result;
}

TEST(Balance, QuotasFollowTheWeightsWhateverTheYields) {
  const BalanceOptions options{"quota", 400, 4000, 1};
  const Spread found =
      spread(options, 16, {{"a", 0.9}, {"b", 0.5}, {"c", 0.3}});
  EXPECT_EQ(found.kept.at("a"), 100);
  EXPECT_EQ(found.kept.at("b"), 100);
  EXPECT_EQ(found.kept.at("c"), 200);
  EXPECT_EQ(found.short_types, "");
  // 100 / 0.9 + 100 / 0.5 + 200 / 0.3 = 978 at best.
  EXPECT_LT(found.topics.size(), 1250u);
}

TEST(Balance, HintsOfARequestShareTheQuotas) {
  BalanceOptions options{"quota", 400, 800, 1};
  options.hints_per_request = 5;
  const std::map<std::string, double> good = {
      {"a", 0.9}, {"b", 0.5}, {"c", 0.3}};
  const Spread found = spread(options, 16, good);
  EXPECT_EQ(found.kept.at("a"), 100);
  EXPECT_EQ(found.kept.at("b"), 100);
  EXPECT_EQ(found.kept.at("c"), 200);
  EXPECT_EQ(found.topics.size() % 5, 0u);
  for (const size_t slots : {1u, 500u}) {
    const Spread other = spread(options, slots, good);
    EXPECT_EQ(other.topics, found.topics);
    EXPECT_EQ(other.figures, found.figures);
  }
  // A type that brings nothing uses up its share of all topics asked for.
  const Spread without = spread(options, 8, {{"a", 0.9}, {"b", 0.9}});
  EXPECT_EQ(without.figures["types"]["c"]["wanted"], 0);
  EXPECT_GE(without.figures["types"]["c"]["asked"], 2000);
}

TEST(Balance, HintsOfARequestAreTheNextTopicsInTurn) {
  BalanceOptions options{"none", 1000, 44, 1};
  const std::map<std::string, double> good = {{"a", 1}, {"b", 1}, {"c", 1}};
  const Spread one = spread(options, 8, good);
  options.max_requests = 11;
  options.hints_per_request = 4;
  EXPECT_EQ(spread(options, 8, good).topics, one.topics);
}

TEST(Balance, ASmallNumberIsSpreadOverDrawnTypes) {
  Spread found =
      spread({"quota", 2, 100, 1}, 4, {{"a", 1}, {"b", 1}, {"c", 1}});
  EXPECT_EQ(found.kept["c"], 1);
  EXPECT_EQ(found.kept["a"] + found.kept["b"], 1);
}

TEST(Balance, IsTheSameForAnyNumberOfSlots) {
  for (const char* kind : {"quota", "smallest", "none"}) {
    const BalanceOptions options{kind, 300, 3000, 7};
    const std::map<std::string, double> good = {
        {"a", 0.8}, {"b", 0.4}, {"c", 0.2}};
    const Spread one = spread(options, 1, good);
    for (const size_t slots : {3u, 64u, 500u}) {
      const Spread other = spread(options, slots, good);
      ASSERT_EQ(other.topics, one.topics) << kind << " " << slots;
      EXPECT_EQ(other.figures, one.figures);
    }
  }
}

TEST(Balance, ATypeThatBringsNothingLeavesItsShareToOthers) {
  const BalanceOptions options{"quota", 100, 1000, 1};
  const Spread found = spread(options, 8, {{"a", 0.9}, {"b", 0.9}, {"c", 0.0}});
  EXPECT_EQ(found.kept.at("a"), 50);
  EXPECT_EQ(found.kept.at("b"), 50);
  EXPECT_EQ(found.short_types, "0 of 50 for c");
  const Json& c = found.figures["types"]["c"];
  EXPECT_EQ(c["share"], 50);
  EXPECT_EQ(c["wanted"], 0);
  EXPECT_EQ(found.figures["types"]["a"]["wanted"], 50);
  EXPECT_LE(found.topics.size(), 1000u);
}

TEST(Balance, EndsWhenNoTypeBringsAnything) {
  const Spread found = spread({"quota", 100, 1000, 1}, 8, {});
  EXPECT_EQ(found.topics.size(), 1000u);
  EXPECT_THAT(found.short_types, HasSubstr("0 of 25 for a"));
}

TEST(Balance, SmallestCutsTopicsToTheTypeWithFewest) {
  const Spread found =
      spread({"smallest", 1000, 24, 1}, 8, {{"a", 1}, {"b", 1}, {"c", 1}});
  std::map<size_t, int> used;
  for (const size_t topic : found.topics) ++used[topic];
  EXPECT_EQ(used.size(), 12u);
  for (const auto& [topic, times] : used) {
    EXPECT_EQ(times, 2) << topic;
    EXPECT_LT(topic % 10, 4u);  // the first four of each
  }
  EXPECT_EQ(found.figures["unused_topics"], 32);
}

TEST(Balance, NoneUsesAllTopicsInTurn) {
  const Spread found =
      spread({"none", 1000, 44, 1}, 8, {{"a", 1}, {"b", 1}, {"c", 1}});
  EXPECT_EQ(found.kept.at("a"), 30);
  EXPECT_EQ(found.kept.at("b"), 10);
  EXPECT_EQ(found.kept.at("c"), 4);
}

TEST(Balance, ATypeWithoutTopicsOrWeightHasNoShare) {
  std::vector<TypeTopics> types = three_types();
  types[0].weight = 0.0;
  types[1].topics.clear();
  TypeBalance balance({"quota", 10, 100, 1}, types);
  EXPECT_EQ(balance.figures()["types"]["c"]["share"], 10);
  EXPECT_TRUE(balance.is_full("a"));
  EXPECT_TRUE(balance.is_full("b"));
}

}  // namespace
}  // namespace selfalign::stages
