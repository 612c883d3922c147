// SPDX-License-Identifier: Apache-2.0
// Sets of kernels for tests.
#pragma once

#include <cmath>
#include <vector>

#include "engine/kernels.h"

namespace selfalign::engine {

// Those that this processor has and, last, the products by tiles in plain C++.
const std::vector<Kernels>& tested_kernels();

// What activate() of vector_math.h is near to.
inline double activated(Activation kind, double x) {
  switch (kind) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::kGeluTanh:
      return x * 0.5 *
             (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kReluSquared:
      return x > 0 ? x * x : 0;
  }
  return NAN;
}

}  // namespace selfalign::engine
