// SPDX-License-Identifier: Apache-2.0
// As kernels_avx512.cc, and of the same name, since it has the same bits;
// compiled with the dot product of 8 bits (VNNI) in addition.
#define SELFALIGN_LANES 16
#define SELFALIGN_TILE_ROWS 6
#define SELFALIGN_TILE_BLOCKS 4
#define SELFALIGN_CODE_ROWS 12
#define SELFALIGN_CODE_BLOCKS 2
#include "engine/kernels_impl.h"

namespace selfalign::engine {

extern const Kernels kKernelsAvx512Vnni;
// Made at compile time: nothing of this file runs at the program's start.
constinit const Kernels kKernelsAvx512Vnni = make_kernels("avx512");

}  // namespace selfalign::engine
