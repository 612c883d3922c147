// SPDX-License-Identifier: Apache-2.0
// Compiled with the instruction set of the whole build.
#define SELFALIGN_LANES 4
#define SELFALIGN_TILE_ROWS 3
#define SELFALIGN_TILE_BLOCKS 1
#define SELFALIGN_CODE_ROWS 2
#define SELFALIGN_CODE_BLOCKS 1
#include "engine/kernels_impl.h"

namespace selfalign::engine {

extern const Kernels kKernelsGeneric;
// Made at compile time: nothing of this file runs at the program's start.
constinit const Kernels kKernelsGeneric = make_kernels("generic");

}  // namespace selfalign::engine
