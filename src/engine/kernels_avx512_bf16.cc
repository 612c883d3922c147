// SPDX-License-Identifier: Apache-2.0
// Compiled with AVX-512 and its dot products of bfloat16 and of 8 bits (VNNI),
// which every processor with the first has.
#define SELFALIGN_LANES 16
#define SELFALIGN_TILE_ROWS 6
#define SELFALIGN_TILE_BLOCKS 4
#define SELFALIGN_CODE_ROWS 12
#define SELFALIGN_CODE_BLOCKS 2
#include "engine/kernels_impl.h"

namespace selfalign::engine {

extern const Kernels kKernelsAvx512Bf16;
// Made at compile time: nothing of this file runs at the program's start.
constinit const Kernels kKernelsAvx512Bf16 = make_kernels("avx512_bf16");

}  // namespace selfalign::engine
