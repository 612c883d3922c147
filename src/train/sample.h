// SPDX-License-Identifier: Apache-2.0
// What a model learns from.
#pragma once

#include <cstdint>
#include <vector>

namespace selfalign::train {

// One sample: what the model reads, and what it must predict after some of it.
// A target need not be the next input: after an answer inside a conversation it
// is the end-of-text token, which the model writes and does not read.
struct Sample {
  std::vector<int> inputs;
  std::vector<int64_t> loss_rows;  // places in inputs, ascending
  std::vector<int> targets;        // what follows there, one per loss row
};
// A text whose tokens from prompt_length on are to be learned, without the very
// first one, which nothing predicts.
Sample text_sample(const std::vector<int>& tokens, int64_t prompt_length);

}  // namespace selfalign::train
