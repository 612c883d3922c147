// SPDX-License-Identifier: Apache-2.0
// Which samples a training learns from, and which its losses are over.
#pragma once

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

// The first samples with something to predict, 256 or 16,384 tokens of them,
// whichever is less.
std::vector<Sample> report_samples(const std::vector<Sample>& samples);

}  // namespace selfalign::train
