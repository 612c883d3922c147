// SPDX-License-Identifier: Apache-2.0
// Compiled with AVX2 and FMA.
#define SELFALIGN_LANES 8
#define SELFALIGN_TILE_ROWS 6
#define SELFALIGN_TILE_BLOCKS 1
#define SELFALIGN_CODE_ROWS 4
#define SELFALIGN_CODE_BLOCKS 1
#include "engine/kernels_impl.h"

namespace selfalign::engine {

extern const Kernels kKernelsAvx2;
// Made at compile time: nothing of this file runs at the program's start.
constinit const Kernels kKernelsAvx2 = make_kernels("avx2");

}  // namespace selfalign::engine
