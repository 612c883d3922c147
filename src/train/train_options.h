// SPDX-License-Identifier: Apache-2.0
// How a model learns.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/tune_options.h"
#include "model/weights.h"

namespace selfalign::train {

// What a person sets, and what the trainer needs beside it.
struct TrainOptions : TuneOptions {
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  std::string folder;      // checkpoint, metrics.jsonl, tensorboard/
  std::string base_model;  // named in adapter_config.json
  // Writes the weights of a full tuning, all in memory, to folder/model.
  std::function<void(const model::Weights&)> save_model;
  std::function<bool()> has_model;  // whether it is there, whole; may be none
  std::function<void()> on_pack;    // called after every forward/backward pass
};

}  // namespace selfalign::train
