// SPDX-License-Identifier: Apache-2.0
// Chooses the next token of a row: penalties and bias, temperature, nucleus,
// and one draw of the row's counter-based stream, so that a choice is a pure
// function of the row and its logits.
//
// Probabilities are integers: token i weighs round(2^30 exp((l_i - max) / T)).
// Sums of them are exact in any order, so the nucleus is exactly the smallest
// set of heaviest tokens (ties: lower ids first) whose share reaches top_p
// (Holtzman et al. 2020, section 3.1), whatever algorithm finds it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "generate/generator.h"

namespace selfalign::engine {

// What a row has said, as the penalties need it.
class History {
 public:
  // A token of the prompt's suffix: counts for the repetition penalty only.
  void add_prompt(int token);
  void add(int token);

  const std::vector<int>& completion() const { return completion_; }
  // Tokens of suffix and completion, each once.
  const std::vector<int>& distinct() const { return distinct_; }

 private:
  std::vector<int> completion_;
  std::vector<int> distinct_;
};

// Reused between calls; one for each thread.
struct SamplerScratch {
  std::vector<float> logits;
  std::vector<uint32_t> weights;
  std::vector<uint64_t> keys;  // the first num_keys of them
  size_t num_keys = 0;
  std::vector<uint64_t> bucket;

  std::span<const uint64_t> chosen_keys() const {
    return std::span(keys).first(num_keys);
  }
};

struct SampleInput {
  const float* logits = nullptr;  // [vocab]
  int vocab = 0;
  const generate::Sampling* sampling = nullptr;
  const History* history = nullptr;
  const std::vector<int>* end_tokens = nullptr;  // for ban_eos
  uint64_t key = 0;                              // of the row
  uint64_t draw = 0;                             // tokens sampled before
};

struct SampledToken {
  int id = 0;
  float logprob = 0;  // under the logits as given
};

// Error kInput if the logits are not numbers, kUsage if every token is banned.
// Error kInput: the logits of a model are not numbers.
[[noreturn]] void refuse_logits();

SampledToken sample_token(const SampleInput& input, SamplerScratch& scratch);

// log(sum(exp(logits))).
double log_sum_exp(const float* logits, int vocab);

// The most probable token; the lower id on a tie.
int most_probable(const float* logits, int vocab);
// The `count` most probable tokens, most probable first, lower ids first on a
// tie; log_sum is log_sum_exp of the logits.
std::vector<generate::TokenLogprob> most_probable(const float* logits,
                                                  int vocab, int count,
                                                  double log_sum);

// The lightest member of the nucleus: tokens that weigh more belong to it, and
// of those that weigh as much the ids up to `last_id`.
struct Nucleus {
  uint32_t weight = 0;
  uint32_t last_id = 0;
  uint64_t mass = 0;  // of all members
};
// `total` is the weights' sum. scratch.chosen_keys() get weight << 32 | ~id of
// all members and of some that are lighter, in order of ids.
Nucleus find_nucleus(const std::vector<uint32_t>& weights, uint64_t total,
                     double top_p, SamplerScratch& scratch);

}  // namespace selfalign::engine
