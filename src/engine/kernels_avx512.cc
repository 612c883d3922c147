// SPDX-License-Identifier: Apache-2.0
// Compiled with AVX-512 (F, BW, DQ, VL).
#define SELFALIGN_LANES 16
#define SELFALIGN_TILE_ROWS 6
#define SELFALIGN_TILE_BLOCKS 4
#define SELFALIGN_CODE_ROWS 6
#define SELFALIGN_CODE_BLOCKS 2
#include "engine/kernels_impl.h"

namespace selfalign::engine {

extern const Kernels kKernelsAvx512;
// Made at compile time: nothing of this file runs at the program's start.
constinit const Kernels kKernelsAvx512 = make_kernels("avx512");

}  // namespace selfalign::engine
