// SPDX-License-Identifier: Apache-2.0
// State of a training on disk, from which it goes on to the same bits, also
// from the middle of a step (a step of 768 samples can take minutes).
// Two files: checkpoint-<n>.safetensors with the four vectors of optimizer.h,
// and checkpoint.json, replaced atomically after it, which names it, its digest
// and the counters. A crash between the two leaves the older pair in force.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/aten.h"

namespace selfalign::train {

struct TrainState {
  int64_t step = 0;          // optimizer steps done
  int64_t packs_done = 0;    // packs of the next step in `gradients` already
  double loss_sum = 0.0;     // of those packs
  int64_t tokens_done = 0;   // input tokens since the start
  double loss_before = 0.0;  // TrainReport
  std::optional<double> loss_after;  // set when the training is complete
  // [num_values] float32 on the CPU: values, gradients, AdamW's two moments.
  at::Tensor values, gradients, first_moment, second_moment;
  // The file that holds those vectors, where they were saved, and its digest.
  std::string tensors, tensors_digest;
};

// `identity`: digest of everything that decides the result. The vectors are
// written unless they were for this very place of the training.
void save_checkpoint(const std::string& folder, const std::string& identity,
                     TrainState& state);

// None if the folder holds none. Error kDamaged if it is of another identity,
// if its files do not belong together, or if its vectors are not of
// num_values numbers.
std::optional<TrainState> load_checkpoint(const std::string& folder,
                                          const std::string& identity,
                                          int64_t num_values);

}  // namespace selfalign::train
