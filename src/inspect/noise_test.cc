// SPDX-License-Identifier: Apache-2.0
#include "inspect/noise.h"

#include "stages/testing.h"

namespace selfalign::inspect {
namespace {

class NoiseTest : public stages::SmallRun {
 protected:
  void add_request(int64_t seq, int num_tokens, double logprob) {
    store::StoredCompletion stored;
    stored.completion.key = 100 + uint64_t(seq);
    stored.completion.num_tokens = num_tokens;
    stored.completion.logprob = logprob;
    store_->add_rows({{stored.completion.key,
                       "instruct.requests",
                       seq,
                       {},
                       Json::object()}});
    store_->add_completion(stored);
  }
  recipe::Recipe recipe_;
};

TEST_F(NoiseTest, IsTheMeanOverTokensAndTheShareOfIncoherentOnes) {
  add_request(0, 30, -75.0);
  add_request(1, 10, -5.0);
  store_->set_verdicts({{13, recipe::profile_named("default").instruct_filter,
                         false, "incoherent", ""}});
  const Noise noise = measure_noise(*store_, "default");
  EXPECT_EQ(noise.num_tokens, 40);
  EXPECT_DOUBLE_EQ(noise.mean_logprob, -2.0);
  EXPECT_EQ(noise.num_made, 4);
  EXPECT_EQ(noise.num_incoherent, 1);
}

TEST_F(NoiseTest, TheAdviceNamesWhatCanBeChanged) {
  recipe_.instruct.sampling.temperature = 1.0;
  recipe_.instruct.sampling.top_p = 0.98;
  const std::string advice = noise_advice({40, -2.0, 4, 1}, recipe_);
  EXPECT_NE(advice.find("-2.0 a token"), std::string::npos) << advice;
  EXPECT_NE(advice.find("temperature 0.7 and top_p 0.9 (now 1.00 and 0.98)"),
            std::string::npos)
      << advice;
  EXPECT_NE(advice.find("instruct.min_log_likelihood"), std::string::npos)
      << advice;
  EXPECT_NE(advice.find("instruct.opening_words"), std::string::npos) << advice;
  recipe_.instruct.sampling.temperature = 0.7;
  recipe_.instruct.sampling.top_p = 0.9;
  recipe_.instruct.strict_form = true;
  recipe_.instruct.opening_words = 2;
  recipe_.instruct.min_log_likelihood = -30.0;
  const std::string other = noise_advice({40, -1.0, 4, 2}, recipe_);
  EXPECT_EQ(other,
            "2 of 4 instructions and questions were rejected as incoherent. "
            "Read them; what helps: give plainer seeds under prompts_overlay, "
            "or take a larger model.");
}

TEST_F(NoiseTest, WhatIsLikelyNeedsNone) {
  EXPECT_EQ(noise_advice({40, -1.2, 4, 1}, recipe_), "");
  EXPECT_EQ(noise_advice({}, recipe_), "");
}

}  // namespace
}  // namespace selfalign::inspect
