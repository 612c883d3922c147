// SPDX-License-Identifier: Apache-2.0
// Which samples a training learns from, and which its losses are over.
#pragma once

#include <cstdint>
#include <vector>

#include "train/sample.h"
#include "train/train_options.h"

namespace selfalign::train {

struct SplitSamples {
  std::vector<Sample> learnt, held_out;
};
// Holds a share of the samples out, rounded up, drawn by the seed; those that
// stay keep their order. Error kInput unless both parts have something to
// predict.
SplitSamples split_samples(const std::vector<Sample>& samples, double share,
                           const TrainOptions& options);

// What each optimizer step learns from: batch_size samples of its epoch in that
// epoch's order.
class StepSamples {
 public:
  StepSamples(const TrainOptions& options, size_t num_samples);

  int64_t count() const { return per_epoch_ * epochs_; }
  int epoch_of(int64_t step) const { return int(step / per_epoch_); }
  // Their numbers.
  std::vector<uint32_t> of(int64_t step);

 private:
  const size_t num_samples_, batch_size_;
  const int64_t per_epoch_, epochs_;
  const uint64_t seed_;
  std::vector<uint32_t> order_;  // of epoch order_epoch_
  int order_epoch_ = -1;
};

// The first samples with something to predict, 256 or 16,384 tokens of them,
// whichever is less.
std::vector<Sample> report_samples(const std::vector<Sample>& samples);

}  // namespace selfalign::train
