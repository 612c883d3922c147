// SPDX-License-Identifier: Apache-2.0
// Products of floats for kernels_impl.h, under the same rules and after what it
// includes.
//
// How the products work. A tile of rows x blocks of the result stays in
// registers while the depth is walked: each step loads one row of each packed
// block (a register or two), broadcasts one element of each row of `a`, and
// multiplies and adds. Rows and blocks of a tile are as many as the registers
// of the set hold, so a loaded weight is used for all rows of the tile and the
// loop is bound by multiplications, not by loads. bfloat16 goes by pairs along
// the depth, as the dot-product instruction takes them; sets without it widen
// both to float32, which gives other bits, so the set of kernels is part of an
// engine's fingerprint.
//
// An element's sum is never split over registers or threads: threads share out
// blocks of columns and runs of rows. That forbids nothing but splitting the
// depth, and buys that a row's bits do not depend on its neighbours.
#pragma once

#include "engine/vector_math.h"

// Places within a tile are small numbers.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace selfalign::engine {
namespace {

constexpr int kVectors = kBlock / kLanes;  // of a row of a block
constexpr int kTileRows = SELFALIGN_TILE_ROWS;
constexpr int kTileBlocks = SELFALIGN_TILE_BLOCKS;

template <int kRows, int kBlocks>
SELFALIGN_INLINE void tile(const float* a, int64_t lda, const float* b,
                           int64_t block_size, int64_t depth,
                           Vf (&c)[kRows][kBlocks * kVectors]) {
  for (int64_t k = 0; k < depth; ++k) {
    Vf w[kBlocks * kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kBlocks * kVectors; ++j) {
      w[j] = load(b + (j / kVectors) * block_size + k * kBlock +
                  (j % kVectors) * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vf x = splat(a[r * lda + k]);
#pragma GCC unroll 8
      for (int j = 0; j < kBlocks * kVectors; ++j) c[r][j] += x * w[j];
    }
  }
}

// Pairs k and k + 1 of the columns of register j.
template <int kBlocks>
SELFALIGN_INLINE void load_pairs(const Bf16* b, int64_t block_size, int64_t k,
                                 Vu (&w)[kBlocks * kVectors]) {
#pragma GCC unroll 8
  for (int j = 0; j < kBlocks * kVectors; ++j) {
    w[j] = *reinterpret_cast<const VuLoad*>(b + (j / kVectors) * block_size +
                                            k * kBlock +
                                            (j % kVectors) * kLanes * 2);
  }
}

#if defined(__AVX512BF16__) && SELFALIGN_LANES == 16
template <int kRows, int kBlocks>
SELFALIGN_INLINE void tile(const Bf16* a, int64_t lda, const Bf16* b,
                           int64_t block_size, int64_t depth,
                           Vf (&c)[kRows][kBlocks * kVectors]) {
  for (int64_t k = 0; k < depth; k += 2) {
    Vu w[kBlocks * kVectors];
    load_pairs<kBlocks>(b, block_size, k, w);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vu x = *reinterpret_cast<const Pair*>(a + r * lda + k) - Vu{};
#pragma GCC unroll 8
      for (int j = 0; j < kBlocks * kVectors; ++j) {
        c[r][j] =
            (Vf)_mm512_dpbf16_ps((__m512)c[r][j], (__m512bh)x, (__m512bh)w[j]);
      }
    }
  }
}
#else
// Multiplications compete with whatever else computes, so the elements of `a`
// are widened once for all blocks, a piece of the depth at a time, and come
// from memory as floats do. Of a pair, the first product is added first. The
// depth is in whole blocks.
template <int kRows, int kBlocks>
SELFALIGN_INLINE void tile(const Bf16* a, int64_t lda, const Bf16* b,
                           int64_t block_size, int64_t depth,
                           Vf (&c)[kRows][kBlocks * kVectors]) {
  constexpr int64_t kPiece = 128;
  alignas(64) float wide[kRows][kPiece];
  const Vu upper = 0xffff0000u - Vu{};
  for (int64_t begin = 0; begin < depth; begin += kPiece) {
    const int64_t count = depth - begin < kPiece ? depth - begin : kPiece;
    for (int r = 0; r < kRows; ++r) {
      for (int64_t k = 0; k < count; k += kLanes) {
        store(&wide[r][k], widen(a + r * lda + begin + k));
      }
    }
    for (int64_t k = 0; k < count; k += 2) {
      Vu w[kBlocks * kVectors];
      load_pairs<kBlocks>(b, block_size, begin + k, w);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        Vf x[kBlocks * kVectors];
#pragma GCC unroll 8
        for (int j = 0; j < kBlocks * kVectors; ++j) {
          x[j] = (Vf)(half == 0 ? w[j] << 16 : w[j] & upper);
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const Vf one = splat(wide[r][k + half]);
#pragma GCC unroll 8
          for (int j = 0; j < kBlocks * kVectors; ++j) c[r][j] += one * x[j];
        }
      }
    }
  }
}
#endif

// One register tile of a product, then `finish(row, first block, c[row])`.
template <int kRows, int kBlocks, typename T, typename Finish>
SELFALIGN_INLINE void compute_tile(const T* a, int64_t lda, const T* b,
                                   int64_t block_size, int64_t depth,
                                   const Finish& finish) {
  Vf c[kRows][kBlocks * kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < kBlocks * kVectors; ++j) c[r][j] = Vf{};
  }
  tile<kRows, kBlocks>(a, lda, b, block_size, depth, c);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) finish(r, c[r]);
}

// All rows against kBlocks blocks. finish(row, registers of the row).
template <int kBlocks, typename T, typename Finish>
SELFALIGN_INLINE void panel(const T* a, int64_t rows, int64_t lda, const T* b,
                            int64_t block_size, int64_t depth,
                            const Finish& finish) {
  int64_t row = 0;
  const auto from_row = [&](int r, const auto& c) { finish(row + r, c); };
  for (; row + kTileRows <= rows; row += kTileRows) {
    compute_tile<kTileRows, kBlocks>(a + row * lda, lda, b, block_size, depth,
                                     from_row);
  }
  for (; row + 3 <= rows; row += 3) {
    compute_tile<3, kBlocks>(a + row * lda, lda, b, block_size, depth,
                             from_row);
  }
  for (; row < rows; ++row) {
    compute_tile<1, kBlocks>(a + row * lda, lda, b, block_size, depth,
                             from_row);
  }
}

}  // namespace
}  // namespace selfalign::engine
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
