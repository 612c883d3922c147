// SPDX-License-Identifier: Apache-2.0
// How far two judges agree about the same items: a judge with itself over the
// two orders, a model with a person.
#pragma once

#include <cstdint>
#include <vector>

namespace selfalign::judge {

struct Agreement {
  int64_t num_items = 0;
  double raw = 0.0;  // share of the same verdicts; 0 without items
  // Cohen's kappa (1960): (raw - chance) / (1 - chance), chance from both
  // judges' own shares. 0 where chance is 1: both say always the same.
  double kappa = 0.0;
};

// Verdicts of two judges about the same items in the same order; a verdict is
// any number that stands for its kind.
Agreement agreement(const std::vector<int>& first,
                    const std::vector<int>& second);

}  // namespace selfalign::judge
