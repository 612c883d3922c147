// SPDX-License-Identifier: Apache-2.0
// For tests alone: the products of kernels_amx.h with tiles in plain C++, by
// Intel's Software Developer's Manual, on any processor. Where one with AMX
// would raise an exception, the program ends.
#define SELFALIGN_LANES 4
#define SELFALIGN_TILE_ROWS 3
#define SELFALIGN_TILE_BLOCKS 1
#define SELFALIGN_CODE_ROWS 2
#define SELFALIGN_CODE_BLOCKS 1
#include <cfloat>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "engine/kernels_amx.h"
#include "engine/kernels_testing.h"

// Places within a tile are small numbers.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace selfalign::engine {
namespace {

// Numbers too small for float32's full precision count as zero.
float flushed(float x) {
  return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x;
}
float number_of(Bf16 x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return flushed(value);
}

struct Tile {
  int rows = 0, bytes = 0;  // none: not configured
  alignas(64) char data[kTileHeight][kTileBytes] = {};

  template <typename T>
  T at(int row, int column) const {
    T value;
    std::memcpy(&value, &data[row][column * int{sizeof(T)}], sizeof(T));
    return value;
  }
  template <typename T>
  void set(int row, int column, T value) {
    std::memcpy(&data[row][column * int{sizeof(T)}], &value, sizeof(T));
  }
};

// TDPBF16PS: even and odd places of the depth are summed apart, each product
// and sum rounded once, then added to each other and to what was there.
void dot_pairs(Tile& c, const Tile& a, const Tile& b) {
  for (int m = 0; m < c.rows; ++m) {
    float sums[kTileBytes / 2] = {};
    for (int k = 0; k < a.bytes / 4; ++k) {
      for (int n = 0; n < c.bytes / 2; ++n) {
        sums[n] = flushed(std::fma(number_of(a.at<Bf16>(m, 2 * k + n % 2)),
                                   number_of(b.at<Bf16>(k, n)), sums[n]));
      }
    }
    for (int n = 0; n < c.bytes / 4; ++n) {
      const float both = flushed(sums[2 * n] + sums[2 * n + 1]);
      c.set(m, n, flushed(flushed(c.at<float>(m, n)) + both));
    }
  }
}

// TDPBUSD.
void dot_fours(Tile& c, const Tile& a, const Tile& b) {
  for (int m = 0; m < c.rows; ++m) {
    for (int n = 0; n < c.bytes / 4; ++n) {
      auto sum = c.at<uint32_t>(m, n);
      for (int k = 0; k < a.bytes; ++k) {
        sum += static_cast<uint32_t>(a.at<uint8_t>(m, k) *
                                     b.at<int8_t>(k / 4, n * 4 + k % 4));
      }
      c.set(m, n, sum);
    }
  }
}

class EmulatedTiles {
 public:
  static void configure(const TileConfig& config) {
    SELFALIGN_CHECK(config.palette == 1, "palette");
    for (int i = 0; i < 16; ++i) {
      const int rows = config.rows[i], bytes = config.bytes[i];
      SELFALIGN_CHECK(rows <= (i < kCount ? kTileHeight : 0) &&
                          bytes <= kTileBytes && (rows == 0) == (bytes == 0),
                      "a tile's size");
      if (i >= kCount) continue;
      tiles_[i] = {};
      tiles_[i].rows = rows;
      tiles_[i].bytes = bytes;
    }
  }
  static void release() {
    for (Tile& tile : tiles_) tile = {};
  }
  template <int tile>
  static void load(const void* from, int64_t stride) {
    Tile& to = configured(tile);
    for (int row = 0; row < to.rows; ++row) {
      std::memcpy(to.data[row], static_cast<const char*>(from) + row * stride,
                  static_cast<size_t>(to.bytes));
    }
  }
  template <int tile>
  static void store(void* to, int64_t stride) {
    const Tile& from = configured(tile);
    for (int row = 0; row < from.rows; ++row) {
      std::memcpy(static_cast<char*>(to) + row * stride, from.data[row],
                  static_cast<size_t>(from.bytes));
    }
  }
  template <typename Row, int sums, int rows, int weights>
  static void dot() {
    static_assert(sums != rows && rows != weights && sums != weights);
    Tile& c = configured(sums);
    const Tile& a = configured(rows);
    const Tile& b = configured(weights);
    SELFALIGN_CHECK(c.rows == a.rows && c.bytes == b.bytes &&
                        a.bytes == b.rows * 4 && c.bytes % 4 == 0,
                    "sizes of tiles");
    if constexpr (sizeof(Row) == sizeof(Bf16)) {
      dot_pairs(c, a, b);
    } else {
      dot_fours(c, a, b);
    }
  }

 private:
  static constexpr int kCount = 8;

  static Tile& configured(int tile) {
    SELFALIGN_CHECK(tiles_[tile].rows > 0, "a tile that is not configured");
    return tiles_[tile];
  }

  static thread_local Tile tiles_[kCount];
};
thread_local Tile EmulatedTiles::tiles_[kCount];

constexpr Kernels kKernelsAmxEmulated =
    make_tile_kernels<EmulatedTiles>("amx_emulated");

}  // namespace

const std::vector<Kernels>& tested_kernels() {
  static const std::vector<Kernels> sets = [] {
    const auto count = static_cast<size_t>(num_kernel_sets());
    std::vector<Kernels> all(count + 1, kKernelsAmxEmulated);
    for (size_t s = 0; s < count; ++s) all[s] = kernel_set(static_cast<int>(s));
    return all;
  }();
  return sets;
}

}  // namespace selfalign::engine
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
