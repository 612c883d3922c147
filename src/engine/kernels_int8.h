// SPDX-License-Identifier: Apache-2.0
// Products of whole numbers of 8 bits for kernels_impl.h, under the same rules
// and after what it includes.
//
// A tile of rows x blocks stays in registers as in the products of floats; each
// step takes four of the depth, which stand beside each other in a lane. Sums
// are exact, so every set has the same ones, whatever the tile:
// - AVX512-VNNI multiplies unsigned by signed: rows are 128 too large, so the
//   sum begins at -128 times the column's sum.
// - The others take the 128 off, part the bytes of a lane into two pairs of 16
//   bits and multiply those. (maddubs would do it in one, but its pairs
//   saturate.)
// Rows are cut into tiles of the same size but for one row: with 32 rows and
// tiles of 12 there are tiles of 11, 11 and 10, none of 8 and of less.

#pragma once

#include "engine/kernels_tiles.h"
#include "engine/vector_math.h"

// Places within a tile are small numbers.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace selfalign::engine {
namespace {

constexpr int kCodeRows = SELFALIGN_CODE_ROWS;
constexpr int kCodeBlocks = SELFALIGN_CODE_BLOCKS;

using Vs = int16_t __attribute__((vector_size(kLanes * 4)));
using ViLoad =
    int32_t __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

#if defined(__AVX512VNNI__) && SELFALIGN_LANES == 16
struct Quads {
  Vu bytes;
};
SELFALIGN_INLINE Quads quads_of_row(Vu x) { return {x}; }
SELFALIGN_INLINE Quads quads_of_weights(Vu x) { return {x}; }
SELFALIGN_INLINE Vi dot_quads(Vi c, Quads a, Quads w) {
  return (Vi)_mm512_dpbusd_epi32((__m512i)c, (__m512i)a.bytes,
                                 (__m512i)w.bytes);
}
SELFALIGN_INLINE Vi first_sum(const int32_t* offsets) {
  return -*reinterpret_cast<const ViLoad*>(offsets);
}
#else
struct Quads {
  Vs even, odd;
};
SELFALIGN_INLINE Quads quads_of_weights(Vu x) {
  return {((Vs)x << 8) >> 8, (Vs)x >> 8};
}
SELFALIGN_INLINE Quads quads_of_row(Vu x) {
  return quads_of_weights(x ^ 0x80808080u);
}
// The sum of a lane's two products.
SELFALIGN_INLINE Vi dot_halves(Vs a, Vs b) {
#if defined(__AVX512BW__) && SELFALIGN_LANES == 16
  return (Vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__) && SELFALIGN_LANES == 8
  return (Vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
  const Vi both = (Vi)(a * b);  // 128 * 128 fits into 16 bits
  return ((both << 16) >> 16) + (both >> 16);
#endif
}
SELFALIGN_INLINE Vi dot_quads(Vi c, Quads a, Quads w) {
  return c + dot_halves(a.even, w.even) + dot_halves(a.odd, w.odd);
}
SELFALIGN_INLINE Vi first_sum(const int32_t* /*offsets*/) { return Vi{}; }
#endif

// Sums of kRows rows and kBlocks blocks.
template <int kRows, int kBlocks>
SELFALIGN_INLINE void code_sums(const uint8_t* a, int64_t lda, const int8_t* b,
                                int64_t block_size, int64_t depth,
                                const int32_t* offsets,
                                Vi (&c)[kRows][kBlocks * kVectors]) {
  constexpr int kAll = kBlocks * kVectors;
#pragma GCC unroll 16
  for (int j = 0; j < kAll; ++j) {
    const Vi first = first_sum(offsets + j * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) c[r][j] = first;
  }
  for (int64_t k = 0; k < depth; k += 4) {
    Quads w[kAll];
#pragma GCC unroll 16
    for (int j = 0; j < kAll; ++j) {
      w[j] = quads_of_weights(*reinterpret_cast<const VuLoad*>(
          b + (j / kVectors) * block_size + k * kBlock +
          (j % kVectors) * kLanes * 4));
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Quads x =
          quads_of_row(*reinterpret_cast<const Pair*>(a + r * lda + k) - Vu{});
#pragma GCC unroll 16
      for (int j = 0; j < kAll; ++j) c[r][j] = dot_quads(c[r][j], x, w[j]);
    }
  }
}

// The same to sums [kRows][kBlocks * 16].
template <int kRows, int kBlocks>
void code_tile(const uint8_t* a, int64_t lda, const int8_t* b,
               int64_t block_size, int64_t depth, const int32_t* offsets,
               int32_t* sums) {
  constexpr int kAll = kBlocks * kVectors;
  Vi c[kRows][kAll];
  code_sums<kRows, kBlocks>(a, lda, b, block_size, depth, offsets, c);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < kAll; ++j) {
      *reinterpret_cast<ViLoad*>(sums + (r * kAll + j) * kLanes) = c[r][j];
    }
  }
}

// code_tile of `rows` rows, 1..kRows.
template <int kRows, int kBlocks, typename... Rest>
SELFALIGN_INLINE void code_tile_of(int64_t rows, Rest... rest) {
  if constexpr (kRows == 1) {
    code_tile<1, kBlocks>(rest...);
  } else {
    if (rows == kRows) return code_tile<kRows, kBlocks>(rest...);
    code_tile_of<kRows - 1, kBlocks>(rows, rest...);
  }
}

// What a row's sums stand for.
template <int kBlocks, typename T>
SELFALIGN_INLINE void scale_sums(const CodeGemmArgs<T>& args, int64_t block,
                                 int64_t row, const int32_t* sums,
                                 Vf (&c)[kBlocks * kVectors]) {
  for (int j = 0; j < kBlocks * kVectors; ++j) {
    const Vi sum = *reinterpret_cast<const ViLoad*>(sums + j * kLanes);
    const Vf scale = load(args.scales + block * kBlock + j * kLanes);
    c[j] = __builtin_convertvector(sum, Vf) * scale * args.row_scales[row];
  }
}

// All rows against kBlocks blocks from `block` on; finish(row, registers of
// the row), as panel() does.
template <int kBlocks, typename T, typename Finish>
SELFALIGN_INLINE void each_row(const CodeGemmArgs<T>& args, int64_t block,
                               const Finish& finish) {
  constexpr int kAll = kBlocks * kVectors;
  alignas(64) int32_t sums[kCodeRows * kAll * kLanes];
  const int64_t size = args.depth * kBlock;
  const int64_t tiles = (args.rows + kCodeRows - 1) / kCodeRows;
  int64_t row = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t count = (args.rows - row + tiles - i - 1) / (tiles - i);
    code_tile_of<kCodeRows, kBlocks>(
        count, args.codes + row * args.depth, args.depth,
        args.packed_codes + block * size, size, args.depth,
        args.offsets + block * kBlock, &sums[0]);
    for (int64_t r = 0; r < count; ++r, ++row) {
      Vf c[kAll];
      scale_sums<kBlocks>(args, block, row, sums + r * kAll * kLanes, c);
      finish(row, c);
    }
  }
}

// To the nearest, ties to even. Not by adding a large number: a compiler may
// join that to the multiplication before it, on some sets and not on others.
SELFALIGN_INLINE Vi nearest(Vf x) {
#if defined(__AVX512F__) && SELFALIGN_LANES == 16
  return (Vi)_mm512_cvtps_epi32((__m512)x);
#elif defined(__AVX2__) && SELFALIGN_LANES == 8
  return (Vi)_mm256_cvtps_epi32((__m256)x);
#elif defined(__SSE2__) && SELFALIGN_LANES == 4
  return __builtin_ia32_cvtps2dq(x);
#else
  return (Vi)(x + 12582912.0f);  // 1.5 * 2^23; the low bits are the number
#endif
}

// Numbers from 0 to 255.
SELFALIGN_INLINE void store_bytes(uint8_t* out, Vi x) {
#if defined(__AVX512F__) && SELFALIGN_LANES == 16
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm512_cvtepi32_epi8((__m512i)x));
#else
  for (int i = 0; i < kLanes; ++i) out[i] = static_cast<uint8_t>(x[i]);
#endif
}

// A block of a row times a Hadamard matrix: lanes with those beside them, then
// registers with each other, and the scale, a power of two. See rotate() in
// packed_int8.h, which has the same sums.
template <int d>
SELFALIGN_INLINE Vf rotate_lanes(Vf x) {
  alignas(64) static constexpr float kSigns[4][16] = {
      {1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1},
      {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1},
      {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1},
      {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1}};
  constexpr int kPower = d == 1 ? 0 : d == 2 ? 1 : d == 4 ? 2 : 3;
  x = swap_lanes<d>(x) + x * load(kSigns[kPower]);
  if constexpr (2 * d < kLanes) x = rotate_lanes<2 * d>(x);
  return x;
}

// A block of kSize numbers to `out`; their sizes' bits into `highest`.
template <int kSize, typename T>
SELFALIGN_INLINE Vi rotate_block(const T* in, float* out, Vi highest) {
  constexpr int kCount = kSize / kLanes;
  Vf x[kCount];
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) {
    x[i] = rotate_lanes<1>(widen(in + i * kLanes));
  }
#pragma GCC unroll 4
  for (int s = 1; s < kCount; s *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) {
      if ((i & s) != 0) continue;
      const Vf a = x[i], b = x[i + s];
      x[i] = a + b;
      x[i + s] = a - b;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) {
    const Vf y = x[i] * (kSize == kRotated ? 0.125f : 0.25f);
    store(out + i * kLanes, y);
    const Vi bits = (Vi)y & 0x7fffffff;
    highest = bits > highest ? bits : highest;
  }
  return highest;
}

template <typename T>
float quantize(const T* x, int64_t n, float* rotated, uint8_t* out) {
  constexpr float kLeast = 1e-30f;
  constexpr int32_t kInfinity = 0x7f800000;
  Vi highest = {};  // bits of sizes, which are in the order of the sizes
  int64_t i = 0;
  for (; i + kRotated <= n; i += kRotated) {
    highest = rotate_block<kRotated>(x + i, rotated + i, highest);
  }
  for (; i < n; i += kBlock) {
    highest = rotate_block<kBlock>(x + i, rotated + i, highest);
  }
  int32_t high = 0;
  for (int j = 0; j < kLanes; ++j) high = highest[j] > high ? highest[j] : high;
  float largest;
  __builtin_memcpy(&largest, &high, 4);
  const float inverse = largest < kLeast ? 0.0f : 127.0f / largest;
  for (i = 0; i < n; i += kLanes) {
    store_bytes(out + i, nearest(load(rotated + i) * inverse) + 128);
  }
  if (high >= kInfinity) return __builtin_nanf("");
  return largest < kLeast ? 0.0f : largest / 127.0f;
}

}  // namespace
}  // namespace selfalign::engine
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
