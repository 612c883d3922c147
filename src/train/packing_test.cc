// SPDX-License-Identifier: Apache-2.0
#include "train/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace selfalign::train {
namespace {

std::vector<uint32_t> in_order(size_t n) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

TEST(Packing, InputsTargetsAndSegments) {
  const std::vector<Sample> samples = {text_sample({5, 6, 7, 8}, 2),
                                       text_sample({9, 10, 11}, 0)};
  const auto packs = pack_samples(samples, in_order(2), 0, 2, 100);
  ASSERT_EQ(packs.size(), 1u);
  EXPECT_EQ(packs[0].ids, (std::vector<int64_t>{5, 6, 7, 9, 10}));
  EXPECT_EQ(packs[0].positions, (std::vector<int64_t>{0, 1, 2, 0, 1}));
  EXPECT_EQ(packs[0].segments, (std::vector<int64_t>{3, 2}));
  // Tokens 7 and 8 of the first sample; 10 and 11 of the second, whose first
  // token nothing predicts.
  EXPECT_EQ(packs[0].loss_rows, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(packs[0].targets, (std::vector<int64_t>{7, 8, 10, 11}));
}

// After an answer inside a conversation the target is not the next input.
TEST(Packing, TargetsOfSeveralTurns) {
  const std::vector<Sample> samples = {{{5, 6, 7, 8}, {0, 1, 3}, {6, 99, 98}},
                                       text_sample({5, 6, 9}, 2)};
  const auto packs = pack_samples(samples, in_order(2), 0, 2, 100);
  ASSERT_EQ(packs.size(), 1u);
  EXPECT_EQ(packs[0].shared, 0);  // token 5 predicts with loss
  EXPECT_EQ(packs[0].ids, (std::vector<int64_t>{5, 6, 7, 8, 5, 6}));
  EXPECT_EQ(packs[0].loss_rows, (std::vector<int64_t>{0, 1, 3, 5}));
  EXPECT_EQ(packs[0].targets, (std::vector<int64_t>{6, 99, 98, 9}));
}

TEST(Packing, FirstFitKeepsEverySampleOnce) {
  std::vector<Sample> samples;
  for (int length : {30, 80, 20, 70, 5, 150, 1, 40}) {
    samples.push_back(text_sample(std::vector<int>(size_t(length), 3), 0));
  }
  samples.push_back(text_sample(std::vector<int>(10, 3), 10));  // no response
  const auto packs =
      pack_samples(samples, in_order(samples.size()), 0, samples.size(), 100);
  int64_t targets = 0;
  std::vector<int64_t> segments;
  for (const Pack& pack : packs) {
    targets += int64_t(pack.targets.size());
    segments.insert(segments.end(), pack.segments.begin(), pack.segments.end());
    if (pack.segments.size() > 1) {
      EXPECT_LE(pack.ids.size(), 100u);
    }
  }
  EXPECT_EQ(targets, 29 + 79 + 19 + 69 + 4 + 149 + 39);
  std::sort(segments.begin(), segments.end());
  EXPECT_EQ(segments, (std::vector<int64_t>{4, 19, 29, 39, 69, 79, 149}));
  EXPECT_EQ(packs[0].segments, (std::vector<int64_t>{29, 19, 4, 39}));
}

TEST(Packing, CommonStartStandsOnce) {
  // The third sample's prompt ends in the common start: its last prompt token
  // predicts a token with loss and is not shared.
  const std::vector<Sample> samples = {text_sample({1, 2, 3, 4, 5}, 4),
                                       text_sample({1, 2, 3, 9, 8, 7}, 5),
                                       text_sample({1, 2, 3, 6}, 3)};
  const auto packs = pack_samples(samples, in_order(3), 0, 3, 100);
  ASSERT_EQ(packs.size(), 1u);
  EXPECT_EQ(packs[0].shared, 2);
  EXPECT_EQ(packs[0].ids, (std::vector<int64_t>{1, 2, 3, 4, 3, 9, 8, 3}));
  EXPECT_EQ(packs[0].positions, (std::vector<int64_t>{0, 1, 2, 3, 2, 3, 4, 2}));
  EXPECT_EQ(packs[0].segments, (std::vector<int64_t>{4, 3, 1}));
  EXPECT_EQ(packs[0].loss_rows, (std::vector<int64_t>{3, 6, 7}));
  EXPECT_EQ(packs[0].targets, (std::vector<int64_t>{5, 7, 6}));
  EXPECT_EQ(packs[0].num_tokens(), 4 + 5 + 3);
}

TEST(Packing, EpochOrderIsAPermutationThatChanges) {
  const auto first = epoch_order(7, 0, 50);
  EXPECT_EQ(first, epoch_order(7, 0, 50));
  EXPECT_NE(first, epoch_order(7, 1, 50));
  EXPECT_NE(first, epoch_order(8, 0, 50));
  auto sorted = first;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, in_order(50));
}

TEST(Packing, RefusesBadSamples) {
  formats::ModelConfig config;
  config.vocab_size = 10;
  config.max_positions = 4;
  const auto kind = [&](const Sample& sample) {
    try {
      check_samples({text_sample({1, 2}, 1), sample}, config);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("sample 1"), std::string::npos)
          << error.what();
      return error.kind() == ErrorKind::kInput;
    }
    return false;
  };
  EXPECT_TRUE(kind(text_sample({1, 10}, 0)));
  EXPECT_TRUE(kind(text_sample({10, 1}, 0)));
  EXPECT_TRUE(kind(text_sample({1, -1}, 0)));
  EXPECT_TRUE(kind(text_sample({1, 2, 3, 4, 5}, 0)));
  EXPECT_FALSE(kind(text_sample({1, 2, 3, 4}, 0)));
  EXPECT_TRUE(kind({{1, 2}, {2}, {1}}));
  EXPECT_TRUE(kind({{1, 2}, {-1}, {1}}));
  EXPECT_TRUE(kind({{1, 2}, {1, 0}, {1, 1}}));
  EXPECT_TRUE(kind({{1, 2}, {1, 1}, {1, 1}}));
  EXPECT_TRUE(kind({{1, 2}, {0, 1}, {1}}));
  EXPECT_FALSE(kind({{1, 2}, {0, 1}, {1, 3}}));
  EXPECT_FALSE(kind(text_sample({1, 2}, 2)));
  EXPECT_THROW(check_samples({text_sample({1, 2}, 2)}, config), Error);
}

}  // namespace
}  // namespace selfalign::train
