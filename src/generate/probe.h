// SPDX-License-Identifier: Apache-2.0
// Whether two generators are of one model, as far as they tell: both say what
// comes next after the beginnings of one text, and how likely that is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "generate/generator.h"

namespace selfalign::generate {

struct Probe {
  // The tokens of the text; empty where they are not told.
  std::vector<int> ids;
  // Of each beginning: tokens of the prompt (-1: not told), the most probable
  // token after it and its log-probability (natural log).
  std::vector<int> num_prompt_tokens;
  std::vector<std::string> tokens;
  std::vector<double> logprobs;

  static void describe(auto& visit, auto& self) {
    visit("ids", self.ids);
    visit("num_prompt_tokens", self.num_prompt_tokens);
    visit("tokens", self.tokens);
    visit("logprobs", self.logprobs);
  }
};

// Largest mean_difference of one model: rounding to bfloat16, other kernels and
// weights in 8 bits are below half of it, another model is over it
// (docs/scale.md has the figures).
inline constexpr double kSameModel = 0.1;

// Some thirty requests of one token. None where the model gives no answer, or
// no log-probabilities, or only chats. Throws what generate() throws.
std::optional<Probe> probe_model(Generator& generator);

// Mean distance of the log-probabilities, in nats, over the places where both
// go on with a text; where another token was the likeliest, of these two.
double mean_difference(const Probe& one, const Probe& other);

// How the second is another model, with both values, in words that fit after
// "found"; "" where nothing tells so.
std::string difference(const Probe& expected, const Probe& found);

}  // namespace selfalign::generate
