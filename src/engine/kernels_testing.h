// SPDX-License-Identifier: Apache-2.0
// Sets of kernels for tests.
#pragma once

#include <vector>

#include "engine/kernels.h"

namespace selfalign::engine {

// Those that this processor has and, last, the products by tiles in plain C++.
const std::vector<Kernels>& tested_kernels();

}  // namespace selfalign::engine
