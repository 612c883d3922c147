// SPDX-License-Identifier: Apache-2.0
// Compiled as kernels_avx512_bf16.cc is, for processors that have tiles (AMX)
// beside that. It never ran on one of them. Tests run the same products with
// tiles in plain C++ (kernels_amx_emulated.cc).
#define SELFALIGN_LANES 16
#define SELFALIGN_TILE_ROWS 6
#define SELFALIGN_TILE_BLOCKS 4
#define SELFALIGN_CODE_ROWS 12
#define SELFALIGN_CODE_BLOCKS 2
#include "engine/kernels_amx.h"

namespace selfalign::engine {
namespace {

// The instructions themselves, not <immintrin.h>: GCC 12 is not told there
// which memory they read and may leave out what was written to it, and takes a
// tile's number only as a literal.
struct AmxTiles {
  static void configure(const TileConfig& config) {
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
  }
  static void release() { __asm__ volatile("tilerelease"); }
  template <int tile>
  static void load(const void* from, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2"
                     :
                     : "r"(from), "r"(stride), "i"(tile)
                     : "memory");
  }
  template <int tile>
  static void store(void* to, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                     :
                     : "r"(to), "r"(stride), "i"(tile)
                     : "memory");
  }
  template <typename Row, int sums, int rows, int weights>
  static void dot() {
    if constexpr (sizeof(Row) == sizeof(Bf16)) {
      __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
                       :
                       : "i"(sums), "i"(rows), "i"(weights));
    } else {
      __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0"
                       :
                       : "i"(sums), "i"(rows), "i"(weights));
    }
  }
};

}  // namespace

extern const Kernels kKernelsAmx;
// Made at compile time: nothing of this file runs at the program's start.
constinit const Kernels kKernelsAmx = make_tile_kernels<AmxTiles>("amx");

}  // namespace selfalign::engine
