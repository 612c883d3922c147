// SPDX-License-Identifier: Apache-2.0
#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include "engine/aten_decoder.h"
#include "engine/cpu_decoder.h"
#include "engine/testing.h"

namespace selfalign::engine {
namespace {

constexpr DecoderOptions kOptions{
    .num_slots = 4, .prefill_chunk = 32, .max_context = 1000};

// `common` times 7, then `own` times `which`.
std::vector<int> tokens(int64_t common, int64_t own, int which) {
  std::vector<int> all(static_cast<size_t>(common), 7);
  all.resize(static_cast<size_t>(common + own), which);
  return all;
}

class Prefixes : public testing::Test {
 protected:
  std::shared_ptr<Prefix> add(int64_t common, int64_t own, int which) {
    return cache_.find_or_add(tokens(common, own, which));
  }
  void fill(Prefix& prefix, int64_t count) {
    const std::vector<int> own(prefix.tokens.begin() + prefix.num_before(),
                               prefix.tokens.end());
    fill_sequence(*decoder_, *prefix.sequence, own, count, 32);
  }

  std::unique_ptr<Decoder> decoder_ =
      make_cpu_decoder(*tiny_weights(), kOptions);
  PrefixCache cache_{*decoder_, 500};
};

TEST_F(Prefixes, AreFoundByTheirTokens) {
  const auto one = add(100, 0, 0);
  EXPECT_EQ(add(100, 0, 0), one);
  EXPECT_EQ(one->before, nullptr);
  EXPECT_EQ(one->num_own(), 100);
  EXPECT_EQ(one->sequence->length(), 0);
  EXPECT_NE(add(99, 0, 0), one);
}

// 100 tokens in common are a page and a part of one.
TEST_F(Prefixes, ShareWholePages) {
  const auto one = add(100, 30, 1);
  fill(*one, 130);
  const auto other = add(100, 70, 2);
  const auto trunk = one->before;
  ASSERT_NE(trunk, nullptr);
  EXPECT_EQ(other->before, trunk);
  EXPECT_EQ(trunk->tokens, tokens(64, 0, 0));
  EXPECT_EQ(trunk->sequence->length(), 64);
  EXPECT_EQ(trunk->num_missing(), 0);
  EXPECT_EQ(one->sequence->length(), 66);
  EXPECT_EQ(one->num_missing(), 0);
  EXPECT_EQ(other->num_missing(), 106);
  EXPECT_EQ(other->sequence->before(), trunk->sequence.get());
  EXPECT_EQ(one->sequence->offset(), 64);
  // Less than a page is not worth it.
  EXPECT_EQ(add(63, 20, 3)->before, nullptr);
}

TEST_F(Prefixes, AreCutWhereOthersLeaveThem) {
  const auto one = add(300, 0, 0);
  const auto late = add(200, 10, 1);  // 192 in common
  const auto early = add(70, 10, 2);  // 64
  EXPECT_EQ(late->num_before(), 192);
  EXPECT_EQ(one->before, late->before);
  EXPECT_EQ(early->num_before(), 64);
  EXPECT_EQ(late->before->before, early->before);
  EXPECT_EQ(early->before->before, nullptr);
  // One that ends where a cut is.
  EXPECT_EQ(add(192, 0, 0), late->before);
  EXPECT_EQ(add(256, 0, 0), one->before);
}

TEST_F(Prefixes, AreReadFromTheBeginning) {
  const auto one = add(100, 30, 1);
  fill(*one, 50);
  const auto other = add(100, 70, 2);
  EXPECT_EQ(first_missing(other.get()), one->before.get());
  EXPECT_EQ(one->before->num_missing(), 14);
  fill(*one->before, 64);
  EXPECT_EQ(first_missing(other.get()), other.get());
  EXPECT_EQ(first_missing(one.get()), one.get());
  fill(*one, 66);
  EXPECT_EQ(first_missing(one.get()), nullptr);
  EXPECT_EQ(first_missing(nullptr), nullptr);
}

TEST_F(Prefixes, TheMostRecentAreKept) {
  const std::weak_ptr<Prefix> one = add(192, 50, 1);
  const std::weak_ptr<Prefix> other = add(192, 60, 2);
  const std::weak_ptr<Prefix> trunk = one.lock()->before;
  // 192 once, and 50, 60 and 198 behind them, are 500.
  const std::weak_ptr<Prefix> third = add(192, 198, 3);
  EXPECT_FALSE(one.expired());
  add(192, 50, 1);
  const std::shared_ptr<Prefix> fourth = add(192, 1, 4);
  EXPECT_TRUE(other.expired());
  EXPECT_FALSE(one.expired());
  EXPECT_FALSE(third.expired());
  add(1, 499, 5);  // takes all
  EXPECT_TRUE(one.expired());
  EXPECT_TRUE(third.expired());
  EXPECT_EQ(fourth->before, trunk.lock());  // in use
  // What is in use is found though it is not kept; the longest of all is kept
  // though it is too long.
  EXPECT_EQ(add(192, 1, 4), fourth);
  const std::weak_ptr<Prefix> longest = add(900, 0, 0);
  EXPECT_FALSE(longest.expired());
}

TEST(PrefixCache, ElsewhereEachIsOneSequence) {
  const auto decoder = make_aten_decoder(tiny_weights(), kOptions);
  PrefixCache cache(*decoder, 500);
  const auto one = cache.find_or_add(tokens(100, 30, 1));
  EXPECT_EQ(cache.find_or_add(tokens(100, 70, 2))->before, nullptr);
  EXPECT_EQ(one->before, nullptr);
}

}  // namespace
}  // namespace selfalign::engine
