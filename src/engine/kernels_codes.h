// SPDX-License-Identifier: Apache-2.0
// Attention over pages of whole numbers of 8 bits for kernels_impl.h, under the
// same rules and after what it includes.
//
// A tile of rows has its scores of all keys of a page in registers, where they
// become weights: 255ths of the page's largest. Those are the rows of a product
// with the values, and all that goes through memory.
#pragma once

#include "engine/kernels_attention.h"
#include "engine/kernels_int8.h"

// Places within a tile are small numbers.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace selfalign::engine {
namespace {

constexpr int kPageBlocks = kPageKeys / kBlock;
constexpr int kPageVectors = kPageBlocks * kVectors;
constexpr int kCodeTile = kCodeRows * kCodeBlocks;  // registers of sums
constexpr int kAttendRows =
    kCodeTile < kPageVectors ? 1 : kCodeTile / kPageBlocks;

// ---- Rounding ----

// Row k of a block, [depth, 16]: the j-th of its registers.
SELFALIGN_INLINE Vf block_row(const float* block, int64_t k, int j) {
  return load(block + k * kBlock + j * kLanes);
}
SELFALIGN_INLINE Vf block_row(const Bf16* block, int64_t k, int j) {
  const Vu pair = *reinterpret_cast<const VuLoad*>(block + k / 2 * 2 * kBlock +
                                                   j * kLanes * 2);
  return (Vf)(k % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
}

// Columns of a block times a Hadamard matrix; see rotate() in packed_int8.h.
SELFALIGN_INLINE void rotate_columns(Vf* x, int64_t depth) {
  for (int64_t begin = 0; begin < depth;) {
    const int64_t size = depth - begin >= kRotated ? kRotated : kBlock;
    for (int64_t step = 1; step < size; step *= 2) {
      for (int64_t i = begin; i < begin + size; ++i) {
        if (((i - begin) & step) != 0) continue;
        const Vf a = x[i], b = x[i + step];
        x[i] = a + b;
        x[i + step] = a - b;
      }
    }
    for (int64_t i = begin; i < begin + size; ++i) {
      x[i] *= size == kRotated ? 0.125f : 0.25f;
    }
    begin += size;
  }
}

// Columns that stand in a register's lanes, each with a scale of its own.
SELFALIGN_INLINE void round_columns(const Vf* x, int64_t depth, int8_t* codes,
                                    float* scales, int32_t* offsets) {
  Vf largest = {};
  for (int64_t k = 0; k < depth; ++k) {
    largest = max_of(largest, max_of(x[k], -x[k]));
  }
  const Vf inverse = largest < 1e-30f ? Vf{} : 127.0f / largest;
  Vi sum = {};
  for (int64_t k = 0; k < depth; k += 4) {
    Vi four = {};
    for (int i = 0; i < 4; ++i) {
      const Vi code = nearest(x[k + i] * inverse);
      sum += code;
      four |= (code & 255) << (8 * i);
    }
    *reinterpret_cast<ViLoad*>(codes + k * kBlock) = four;
  }
  store(scales, largest < 1e-30f ? Vf{} : largest / 127.0f);
  *reinterpret_cast<ViLoad*>(offsets) = sum * 128;
}

// Blocks of a packed matrix.
template <bool is_rotated, typename T>
SELFALIGN_INLINE void encode_blocks(const T* packed, int64_t depth,
                                    int64_t blocks, int8_t* codes,
                                    float* scales, int32_t* offsets) {
  Vf x[kMaxHeadSize];
  for (int64_t block = 0; block < blocks; ++block) {
    for (int j = 0; j < kVectors; ++j) {
      for (int64_t k = 0; k < depth; ++k) {
        x[k] = block_row(packed + block * depth * kBlock, k, j);
      }
      if (is_rotated) rotate_columns(x, depth);
      const int64_t column = block * kBlock + j * kLanes;
      round_columns(x, depth, codes + block * depth * kBlock + j * kLanes * 4,
                    scales + column, offsets + column);
    }
  }
}

template <typename T>
void encode_page(const T* keys, const T* values, int64_t dim,
                 const CodePage& to) {
  encode_blocks<true>(keys, dim, kPageBlocks, to.keys, to.key_scales,
                      to.key_offsets);
  encode_blocks<false>(values, kPageKeys, dim / kBlock, to.values,
                       to.value_scales, to.value_offsets);
}

// ---- Attention ----

// 255 exp(x) for x of at most 0, to 1e-4 of it; below exp(-83) of no meaning,
// but small. 2^n times a polynomial, which is 255 at 0.
SELFALIGN_INLINE Vf weight_of(Vf x) {
  const Vf magic = splat(12582912.0f);  // 1.5 * 2^23: rounds to an integer
  const Vf t = max_of(x * 1.44269504f, splat(-120.0f));
  const Vf shifted = t + magic;
  const Vf r = t - (shifted - magic);
  Vf p = splat(255.0f * 5.500893e-2f);
  p = p * r + 255.0f * 2.4221097e-1f;
  p = p * r + 255.0f * 6.9328293e-1f;
  p = p * r + 255.0f;
  return (Vf)((Vi)p + ((Vi)shifted << 23));
}

// What a page is to its rows: weights of its keys, what one of them stands for,
// and the factor of what was summed before.
struct PageWeights {
  alignas(64) uint8_t keys[kMaxRows * kPageKeys];
  float units[kMaxRows] = {}, factors[kMaxRows] = {};
  float sums[kMaxRows];
};

// A row's scores, scaled; their maximum.
SELFALIGN_INLINE float scale_codes(const CodeAttendArgs& args, int64_t row,
                                   const Vi (&sums)[kPageVectors],
                                   Vf (&scores)[kPageVectors]) {
  const bool is_plain = args.softcap == 0.0f && args.hidden == nullptr;
  const float scale = args.q_scales[row] * (is_plain ? args.scale : 1.0f);
#pragma GCC unroll 16
  for (int j = 0; j < kPageVectors; ++j) {
    scores[j] = __builtin_convertvector(sums[j], Vf) *
                load(args.page.key_scales + j * kLanes) * scale;
  }
  if (!is_plain) {
    alignas(64) float all[kPageKeys];
    for (int j = 0; j < kPageVectors; ++j) store(all + j * kLanes, scores[j]);
    const float max = scale_row(args, row, kPageKeys, all);
    for (int j = 0; j < kPageVectors; ++j) scores[j] = load(all + j * kLanes);
    return max;
  }
  Vf high = scores[0];
#pragma GCC unroll 16
  for (int j = 1; j < kPageVectors; ++j) high = max_of(high, scores[j]);
  return horizontal_max(high);
}

template <int kRows>
void weigh_tile(const CodeAttendArgs& args, int64_t row, PageWeights& weights) {
  constexpr float kNever = -__builtin_inff();
  Vi sums[kRows][kPageVectors];
  code_sums<kRows, kPageBlocks>(args.q_codes + row * args.dim, args.dim,
                                args.page.keys, args.dim * kBlock, args.dim,
                                args.page.key_offsets, sums);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, ++row) {
    Vf scores[kPageVectors];
    const float page_max = scale_codes(args, row, sums[r], scores);
    const float page_base = page_max == kNever ? 0.0f : page_max;
    Vi sum = {};
#pragma GCC unroll 16
    for (int j = 0; j < kPageVectors; ++j) {
      const Vi w = nearest(weight_of(scores[j] - page_base));
      sum += w;
      store_bytes(weights.keys + row * kPageKeys + j * kLanes, w);
    }
    weights.sums[row] = horizontal_sum(__builtin_convertvector(sum, Vf));
    const float before = args.max[row];
    const float max = page_max > before ? page_max : before;
    // A row that has seen no key yet has no maximum to subtract.
    const float base = max == kNever ? 0.0f : max;
    weights.factors[row] = before - base;
    weights.units[row] = page_max - base;
    args.max[row] = max;
  }
}

// The weighted sums of kBlocks blocks of values, to `out`.
template <int kRows, int kBlocks>
void sum_tile(const CodeAttendArgs& args, int64_t row, int64_t block,
              const PageWeights& weights) {
  const int64_t column = block * kBlock;
  Vi sums[kRows][kBlocks * kVectors];
  code_sums<kRows, kBlocks>(weights.keys + row * kPageKeys, kPageKeys,
                            args.page.values + block * kPageKeys * kBlock,
                            kPageKeys * kBlock, kPageKeys,
                            args.page.value_offsets + column, sums);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, ++row) {
    float* out = args.out + row * args.dim + column;
#pragma GCC unroll 16
    for (int j = 0; j < kBlocks * kVectors; ++j) {
      // A weight is 128 more than what was multiplied.
      const Vi sum =
          sums[r][j] + *reinterpret_cast<const ViLoad*>(
                           args.page.value_offsets + column + j * kLanes);
      const Vf value = __builtin_convertvector(sum, Vf) *
                       load(args.page.value_scales + column + j * kLanes);
      store(out + j * kLanes, load(out + j * kLanes) * weights.factors[row] +
                                  value * weights.units[row]);
    }
  }
}

template <int number>
struct Constant {
  static constexpr int value = number;
};

// work(how many, first row) for all rows, in tiles.
template <int kRows, typename Work>
SELFALIGN_INLINE void each_tile(int64_t row, int64_t rows, const Work& work) {
  for (; row + kRows <= rows; row += kRows) work(Constant<kRows>(), row);
  if constexpr (kRows > 1) each_tile<(kRows + 1) / 2>(row, rows, work);
}

void attend_codes(const CodeAttendArgs& args) {
  PageWeights weights;
  Fetch fetch(args.next_page, code_page_bytes(args.dim),
              (args.rows + kAttendRows - 1) / kAttendRows);
  each_tile<kAttendRows>(0, args.rows, [&](auto rows, int64_t row) {
    fetch.row();
    weigh_tile<rows.value>(args, row, weights);
  });
  for (int64_t row = 0; row < args.rows; row += kLanes) {
    store(weights.factors + row, exp_of(load(weights.factors + row)));
    store(weights.units + row,
          exp_of(load(weights.units + row)) * (1.0f / 255.0f));
  }
  for (int64_t row = 0; row < args.rows; ++row) {
    args.sum[row] = args.sum[row] * weights.factors[row] +
                    weights.sums[row] * weights.units[row];
  }
  const int64_t blocks = args.dim / kBlock;
  int64_t block = 0;
  for (; block + kPageBlocks <= blocks; block += kPageBlocks) {
    each_tile<kAttendRows>(0, args.rows, [&](auto rows, int64_t row) {
      sum_tile<rows.value, kPageBlocks>(args, row, block, weights);
    });
  }
  for (; block < blocks; ++block) {
    each_tile<kAttendRows>(0, args.rows, [&](auto rows, int64_t row) {
      sum_tile<rows.value, 1>(args, row, block, weights);
    });
  }
}

}  // namespace
}  // namespace selfalign::engine
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
