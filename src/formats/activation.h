// SPDX-License-Identifier: Apache-2.0
// Apart from model_config.h because the kernels, which are compiled for several
// instruction sets, include nothing that a library could share between them.
#pragma once

#include <cstdint>

namespace selfalign::formats {

// Of the MLP, over its gate or, where it has none, its way up: SiLU, GELU, its
// approximation by tanh, ReLU squared.
enum class Activation : int32_t { kSilu, kGelu, kGeluTanh, kReluSquared };

}  // namespace selfalign::formats
