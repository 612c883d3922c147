// SPDX-License-Identifier: Apache-2.0
// The learning rate of a step; declared in train/trainer.h.
#include <algorithm>
#include <cmath>

#include "train/trainer.h"

namespace selfalign::train {

double learning_rate_at(const TrainOptions& options, int64_t step,
                        int64_t num_steps) {
  const int64_t warmup =
      options.warmup_steps <= 0 ? 0 : std::max(2, options.warmup_steps);
  if (step < warmup) {
    return options.learning_rate * std::log1p(double(step)) /
           std::log(double(warmup));
  }
  const double left = double(std::max<int64_t>(0, num_steps - step));
  return options.learning_rate * left /
         double(std::max<int64_t>(1, num_steps - warmup));
}

}  // namespace selfalign::train
