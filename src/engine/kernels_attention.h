// SPDX-License-Identifier: Apache-2.0
// Attention for kernels_impl.h, under the same rules and after what it
// includes: query rows over one page of keys and values, in a running softmax.
#pragma once

#include "engine/kernels_tiles.h"
#include "engine/vector_math.h"

// Places within a tile are small numbers.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace selfalign::engine {
namespace {

// The page to come, fetched while this one's rows are weighed: some of its
// lines for each row.
class Fetch {
 public:
  // `at` may be null.
  SELFALIGN_INLINE Fetch(const void* at, int64_t bytes, int64_t rows)
      : at_(static_cast<const char*>(at)),
        end_(at == nullptr ? at_ : at_ + bytes),
        share_((bytes / kLine + rows - 1) / rows * kLine) {}
  SELFALIGN_INLINE void row() {
    const char* end = end_ - at_ < share_ ? end_ : at_ + share_;
    for (; at_ < end; at_ += kLine) __builtin_prefetch(at_, 0, 2);
  }

 private:
  static constexpr int64_t kLine = 64;
  const char* at_;
  const char* end_;
  int64_t share_;
};

template <int kBlocks, typename T>
SELFALIGN_INLINE void score_panel(const AttendArgs<T>& args, int64_t block,
                                  float* scores) {
  const int64_t size = args.dim * kBlock;
  panel<kBlocks>(args.q, args.rows, args.dim, args.keys + block * size, size,
                 args.dim, [&](int64_t row, const auto& c) {
                   float* out = scores + row * kPageKeys + block * kBlock;
                   for (int j = 0; j < kBlocks * kVectors; ++j) {
                     store(out + j * kLanes, c[j]);
                   }
                 });
}

// Scales a row's scores, those it does not see to -infinity; their maximum.
template <typename T>
SELFALIGN_INLINE float scale_row(const AttendArgs<T>& args, int64_t row,
                                 int64_t padded, float* scores) {
  constexpr float kNever = -__builtin_inff();
  int64_t seen = args.num_keys;
  if (args.visible != nullptr && args.visible[row] < seen) {
    seen = args.visible[row] < 0 ? 0 : args.visible[row];
  }
  float scale = args.scale;
  if (args.softcap != 0.0f) {
    for (int64_t j = 0; j < padded; j += kLanes) {
      const Vf s = load(scores + j) * (scale / args.softcap);
      store(scores + j, tanh_of(s) * args.softcap);
    }
    scale = 1.0f;
  }
  if (args.hidden != nullptr) {
    for (int64_t j = 0; j < args.hidden[row] && j < padded; ++j) {
      scores[j] = kNever;
    }
  }
  for (int64_t j = seen; j < padded; ++j) scores[j] = kNever;
  Vf high = splat(kNever);
  for (int64_t j = 0; j < padded; j += kLanes) {
    const Vf s = load(scores + j) * scale;
    store(scores + j, s);
    high = max_of(high, s);
  }
  return horizontal_max(high);
}

// Scores to weights, and to each row's maximum and sum; `factors`: for what was
// summed before. Step by step for all rows, so that no row waits for itself.
template <typename T>
SELFALIGN_INLINE void weigh_rows(const AttendArgs<T>& args, int64_t padded,
                                 float* scores, T* weights, float* factors) {
  constexpr float kNever = -__builtin_inff();
  float bases[kMaxRows];
  for (int64_t row = 0; row < args.rows; ++row) {
    const float page_max =
        scale_row(args, row, padded, scores + row * kPageKeys);
    const float before = args.max[row];
    const float max = page_max > before ? page_max : before;
    // A row that has seen no key yet has no maximum to subtract.
    bases[row] = max == kNever ? 0.0f : max;
    factors[row] = before - bases[row];
    args.max[row] = max;
  }
  for (int64_t row = 0; row < args.rows; row += kLanes) {
    store(factors + row, exp_of(load(factors + row)));
  }
  Fetch fetch(args.next, 2 * kPageKeys * args.dim * int64_t{sizeof(T)},
              args.rows);
  for (int64_t row = 0; row < args.rows; ++row) {
    fetch.row();
    Vf sum = {};
    for (int64_t j = row * kPageKeys; j < row * kPageKeys + padded;
         j += kLanes) {
      const Vf w = exp_of(load(scores + j) - bases[row]);
      sum += w;
      store_rounded(weights + j, w);
    }
    args.sum[row] = args.sum[row] * factors[row] + horizontal_sum(sum);
  }
}

template <int kBlocks, typename T>
SELFALIGN_INLINE void value_panel(const AttendArgs<T>& args, int64_t block,
                                  int64_t depth, const T* weights,
                                  const float* factors) {
  const int64_t size = kPageKeys * kBlock;
  panel<kBlocks>(weights, args.rows, kPageKeys, args.values + block * size,
                 size, depth, [&](int64_t row, const auto& c) {
                   float* out = args.out + row * args.dim + block * kBlock;
                   for (int j = 0; j < kBlocks * kVectors; ++j) {
                     store(out + j * kLanes,
                           load(out + j * kLanes) * factors[row] + c[j]);
                   }
                 });
}

template <typename T>
void attend(const AttendArgs<T>& args) {
  alignas(64) float scores[kMaxRows * kPageKeys];
  alignas(64) T weights[kMaxRows * kPageKeys];
  float factors[kMaxRows] = {};
  const int64_t padded = round_up(args.num_keys, kBlock);
  const int64_t key_blocks = padded / kBlock;
  int64_t block = 0;
  for (; block + kTileBlocks <= key_blocks; block += kTileBlocks) {
    score_panel<kTileBlocks>(args, block, scores);
  }
  for (; block < key_blocks; ++block) score_panel<1>(args, block, scores);
  weigh_rows(args, padded, scores, weights, factors);
  const int64_t dim_blocks = args.dim / kBlock;
  block = 0;
  for (; block + kTileBlocks <= dim_blocks; block += kTileBlocks) {
    value_panel<kTileBlocks>(args, block, padded, weights, factors);
  }
  for (; block < dim_blocks; ++block) {
    value_panel<1>(args, block, padded, weights, factors);
  }
}
}  // namespace
}  // namespace selfalign::engine
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
