// SPDX-License-Identifier: Apache-2.0
// Whether what a model wrote in stage 1 looks like noise, and what to change.
#pragma once

#include <cstdint>
#include <string>

#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::inspect {

struct Noise {
  int64_t num_tokens = 0;     // of all requests for instructions and questions
  double mean_logprob = 0.0;  // natural, a token of them, before any penalty
  int64_t num_made = 0;       // instructions and questions
  int64_t num_incoherent = 0;
};
Noise measure_noise(const store::Reader& store, const std::string& profile);

// Below this, in nats a token, a list was drawn from where the model itself
// expects nothing in particular. SmolLM2-135M at the paper's temperature
// of 1.0: -2.4 for tasks and -2.8 for questions, a third of them sensible; at
// 0.7 and top-p 0.9 -0.8 and -1.3, and some three quarters.
constexpr double kNoisyLogprob = -1.8;
// The share of incoherent ones that is too many.
constexpr double kMaxIncoherent = 1.0 / 3.0;

// Whole sentences that say what looks like noise in a run of `recipe` and which
// of its settings to change; "" where nothing does.
std::string noise_advice(const Noise& noise, const recipe::Recipe& recipe);

}  // namespace selfalign::inspect
