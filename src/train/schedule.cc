// SPDX-License-Identifier: Apache-2.0
// The learning rate of a step; declared in train/trainer.h.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "train/trainer.h"

namespace selfalign::train {

double learning_rate_at(const TrainOptions& options, int64_t step,
                        int64_t num_steps) {
  const bool is_linear = options.lr_scheduler == "linear";
  const int64_t warmup =
      options.warmup_steps <= 0
          ? 0
          : std::max(is_linear ? 2 : 1, options.warmup_steps);
  if (step < warmup && !is_linear) {
    return options.learning_rate * double(step) / double(warmup);
  }
  if (step < warmup) {
    return options.learning_rate * std::log1p(double(step)) /
           std::log(double(warmup));
  }
  if (options.lr_scheduler == "constant") return options.learning_rate;
  const double left = double(std::max<int64_t>(0, num_steps - step));
  const double span = double(std::max<int64_t>(1, num_steps - warmup));
  if (options.lr_scheduler == "cosine") {
    return options.learning_rate * 0.5 *
           (1.0 - std::cos(std::numbers::pi * left / span));
  }
  return options.learning_rate * left / span;
}

}  // namespace selfalign::train
