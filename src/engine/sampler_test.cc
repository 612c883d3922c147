// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "base/error.h"

namespace selfalign::engine {
namespace {

using generate::Sampling;

constexpr double kInf = std::numeric_limits<double>::infinity();

class SamplerTest : public testing::Test {
 protected:
  SampledToken sample(const std::vector<float>& logits,
                      const Sampling& sampling, uint64_t draw = 0) {
    return sample_token({.logits = logits.data(),
                         .vocab = static_cast<int>(logits.size()),
                         .sampling = &sampling,
                         .history = &history_,
                         .end_tokens = &ends_,
                         .key = 99,
                         .draw = draw},
                        scratch_);
  }
  int greedy(const std::vector<float>& logits, Sampling sampling) {
    sampling.temperature = 0;
    return sample(logits, sampling).id;
  }

  History history_;
  std::vector<int> ends_ = {2};
  SamplerScratch scratch_;
};

// Sorts everything.
Nucleus reference_nucleus(const std::vector<uint32_t>& weights, double top_p) {
  std::vector<uint32_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return weights[a] > weights[b];
  });
  const uint64_t total =
      std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  uint64_t sum = 0;
  for (uint32_t id : order) {
    sum += weights[id];
    if (double(sum) >= top_p * double(total)) return {weights[id], id, sum};
  }
  return {};
}

TEST_F(SamplerTest, NucleusEqualsFullSort) {
  std::mt19937 random(3);
  SamplerScratch scratch;
  for (int round = 0; round < 300; ++round) {
    std::vector<uint32_t> weights(1 + random() % 3000);
    const int kind = round % 4;
    for (uint32_t& w : weights) {
      w = kind == 0   ? random() % (1u << 30)
          : kind == 1 ? random() % 4  // many ties
          : kind == 2 ? 5             // nothing but ties
                      : uint32_t(std::exp(-double(random() % 2000) / 100) *
                                 1073741824.0);
    }
    weights[random() % weights.size()] = 1u << 30;
    for (double top_p : {1e-6, 0.3, 0.9, 0.98, 0.9999999}) {
      const Nucleus want = reference_nucleus(weights, top_p);
      const Nucleus got = find_nucleus(
          weights, std::accumulate(weights.begin(), weights.end(), uint64_t{0}),
          top_p, scratch);
      ASSERT_EQ(got.weight, want.weight) << round << " top_p " << top_p;
      ASSERT_EQ(got.last_id, want.last_id) << round << " top_p " << top_p;
      ASSERT_EQ(got.mass, want.mass) << round << " top_p " << top_p;
    }
  }
}

// Chi-square over the nucleus's tokens; nothing outside is ever drawn.
TEST_F(SamplerTest, DrawsFollowTheDistribution) {
  std::vector<float> logits(40);
  for (int i = 0; i < 40; ++i) logits[i] = float((i * 7) % 40) * 0.15f;
  Sampling sampling;
  sampling.temperature = 0.8;
  sampling.top_p = 0.9;
  std::vector<double> p(40);
  double total = 0;
  for (int i = 0; i < 40; ++i) total += p[i] = std::exp(logits[i] / 0.8);
  std::vector<int> order(40);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return p[a] > p[b]; });
  double mass = 0;
  size_t members = 0;
  while (mass < 0.9 * total) mass += p[order[members++]];
  constexpr int kDraws = 40000;
  std::vector<int> counts(40);
  for (int t = 0; t < kDraws; ++t) ++counts[sample(logits, sampling, t).id];
  double chi = 0;
  for (size_t i = 0; i < 40; ++i) {
    if (i >= members) {
      EXPECT_EQ(counts[order[i]], 0) << order[i];
      continue;
    }
    const double expected = kDraws * p[order[i]] / mass;
    chi += std::pow(counts[order[i]] - expected, 2) / expected;
  }
  const double freedom = double(members - 1);
  EXPECT_LT(chi, freedom + 4 * std::sqrt(2 * freedom));
}

TEST_F(SamplerTest, DrawIsAFunctionOfKeyAndNumber) {
  std::vector<float> logits(500);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = float(i % 13) * 0.1f;
  const Sampling sampling;
  std::vector<int> ids;
  for (uint64_t t = 0; t < 50; ++t)
    ids.push_back(sample(logits, sampling, t).id);
  for (uint64_t t = 50; t-- > 0;) {
    EXPECT_EQ(sample(logits, sampling, t).id, ids[t]);
  }
  EXPECT_GT(std::set<int>(ids.begin(), ids.end()).size(), 30u);
}

TEST_F(SamplerTest, LogprobIsThatOfTheRawLogits) {
  const std::vector<float> logits = {1.0f, 3.0f, 0.5f, -2.0f};
  Sampling sampling;
  sampling.temperature = 0;
  sampling.logit_bias = {{1, -kInf}};
  const SampledToken token = sample(logits, sampling);
  EXPECT_EQ(token.id, 0);
  double total = 0;
  for (float l : logits) total += std::exp(double{l});
  EXPECT_NEAR(token.logprob, 1.0 - std::log(total), 1e-6);
}

TEST_F(SamplerTest, GreedyTakesTheLowerIdOfATie) {
  EXPECT_EQ(greedy({0, 5, 5, 1}, {}), 1);
}

TEST_F(SamplerTest, RepetitionPenaltyLowersWhatWasSeen) {
  history_.add_prompt(1);
  history_.add(3);
  Sampling sampling;
  sampling.repetition_penalty = 2;
  EXPECT_EQ(greedy({1.0f, 1.9f, 0.9f, 1.9f}, sampling), 0);
  EXPECT_EQ(greedy({-3.0f, -1.0f, -2.5f, -1.4f}, sampling), 1);  // -2, -2.8
}

TEST_F(SamplerTest, NgramPenaltiesCount) {
  for (int id : {4, 5, 6, 4, 5, 6, 4, 5}) history_.add(id);
  std::vector<float> logits(8);
  logits[6] = 1.9f;
  Sampling sampling;
  EXPECT_EQ(greedy(logits, sampling), 6);
  sampling.ngram_penalty = {0, 1.0};  // "5 6" was said twice: -2
  EXPECT_EQ(greedy(logits, sampling), 0);
  sampling.ngram_penalty = {0, 0.9};
  EXPECT_EQ(greedy(logits, sampling), 6);
  sampling.ngram_penalty = {0, 0, 0, 1.0};  // "6 4 5 6" once
  EXPECT_EQ(greedy(logits, sampling), 6);
  sampling.ngram_penalty = {0.5};  // 6 twice, 4 and 5 three times
  EXPECT_EQ(greedy(logits, sampling), 6);
  sampling.ngram_penalty = {1.0};
  EXPECT_EQ(greedy(logits, sampling), 0);
}

TEST_F(SamplerTest, BiasAndBans) {
  const std::vector<float> logits = {1, 2, 3, 0};
  Sampling sampling;
  EXPECT_EQ(greedy(logits, sampling), 2);
  sampling.ban_eos = true;
  EXPECT_EQ(greedy(logits, sampling), 1);
  sampling.logit_bias = {{3, 2.5}};
  EXPECT_EQ(greedy(logits, sampling), 3);
  sampling.logit_bias = {{0, -kInf}, {1, -kInf}, {3, -kInf}};
  EXPECT_THROW(sample(logits, sampling), Error);
}

TEST_F(SamplerTest, ColdAndTinyNucleusAreGreedy) {
  std::vector<float> logits(300, 1.0f);
  logits[200] = 1.01f;
  Sampling cold;
  cold.temperature = 1e-42;
  EXPECT_EQ(sample(logits, cold).id, 200);
  Sampling narrow;
  narrow.top_p = 1e-9;
  EXPECT_EQ(sample(logits, narrow).id, 200);
}

TEST_F(SamplerTest, TheMostProbableTokensInOrder) {
  std::vector<float> logits(50, -3.0f);
  logits[7] = 2;
  logits[3] = 1;
  logits[40] = 1;
  const double sum = log_sum_exp(logits.data(), 50);
  const auto top = most_probable(logits.data(), 50, 5, sum);
  std::vector<int> ids(top.size());
  for (size_t i = 0; i < top.size(); ++i) ids[i] = top[i].token;
  EXPECT_EQ(ids, (std::vector<int>{7, 3, 40, 0, 1}));
  EXPECT_FLOAT_EQ(top[0].logprob, static_cast<float>(2 - sum));
  EXPECT_EQ(most_probable(logits.data(), 3, 5, sum).size(), 3u);
  EXPECT_TRUE(most_probable(logits.data(), 50, 0, sum).empty());
}

TEST_F(SamplerTest, LogitsThatAreNoNumbersAreRefused) {
  EXPECT_THROW(sample({1, std::nanf(""), 2}, {}), Error);
}

}  // namespace
}  // namespace selfalign::engine
