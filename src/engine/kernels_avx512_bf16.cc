// SPDX-License-Identifier: Apache-2.0
// Compiled with AVX-512 and its bfloat16 dot product.
#define SELFALIGN_LANES 16
#define SELFALIGN_TILE_ROWS 6
#define SELFALIGN_TILE_BLOCKS 4
#include "engine/kernels_impl.h"

namespace selfalign::engine {

extern const Kernels kKernelsAvx512Bf16;
// Made at compile time: nothing of this file runs at the program's start.
constinit const Kernels kKernelsAvx512Bf16 = make_kernels("avx512_bf16");

}  // namespace selfalign::engine
