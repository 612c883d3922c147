// SPDX-License-Identifier: Apache-2.0
// Sets of kernels for tests.
#pragma once

#include <vector>

#include "engine/kernels.h"

namespace selfalign::engine {

extern const Kernels kKernelsAmxEmulated;

// Those that this processor has and, for a processor that it is not, the
// products by tiles.
inline const std::vector<Kernels>& tested_kernels() {
  static const std::vector<Kernels> sets = [] {
    std::vector<Kernels> all;
    all.reserve(static_cast<size_t>(num_kernel_sets()) + 1);
    for (int s = 0; s < num_kernel_sets(); ++s) all.push_back(kernel_set(s));
    all.push_back(kKernelsAmxEmulated);
    return all;
  }();
  return sets;
}

}  // namespace selfalign::engine
