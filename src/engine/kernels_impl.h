// SPDX-License-Identifier: Apache-2.0
// The body of kernels.h for one instruction set, included by one small file
// for each, which is compiled with that set's flags and defines
//   SELFALIGN_LANES        float32 lanes of a register: 4, 8 or 16
//   SELFALIGN_TILE_ROWS    rows of a register tile
//   SELFALIGN_TILE_BLOCKS  blocks of 16 columns of a register tile
//   SELFALIGN_CODE_ROWS    the same of a tile of whole numbers
//   SELFALIGN_CODE_BLOCKS
// Everything is in an unnamed namespace and uses no library templates, so that
// no code of a higher instruction set can be shared with other files.

#include "engine/kernels.h"
#include "engine/kernels_attention.h"
#include "engine/kernels_codes.h"
#include "engine/kernels_int8.h"
#include "engine/kernels_tiles.h"
#include "engine/kernels_training.h"
#include "engine/vector_math.h"

// Places within a tile are small numbers.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace selfalign::engine {
namespace {

// ---- Linear layers ----

// One row of one block, c [kVectors], to its place.
template <typename T>
SELFALIGN_INLINE void store_block(const GemmArgs<T>& args, int64_t row,
                                  int64_t column, const Vf* c) {
  float* out = args.out + row * args.ldc + column;
  const float* bias = args.bias ? args.bias + column : nullptr;
  const int64_t left = args.columns - column;
  if (left < kBlock) {
    for (int64_t j = 0; j < left; ++j) {
      float y = c[j / kLanes][j % kLanes];
      if (bias) y += bias[j];
      out[j] = args.accumulate ? out[j] + y : y;
    }
    return;
  }
  for (int v = 0; v < kVectors; ++v) {
    Vf y = c[v];
    if (bias) y += load(bias + v * kLanes);
    if (args.accumulate) y += load(out + v * kLanes);
    store(out + v * kLanes, y);
  }
}

// All rows against kBlocks blocks from `block` on.
template <int kBlocks, typename T, typename Finish>
SELFALIGN_INLINE void each_row(const GemmArgs<T>& args, int64_t block,
                               const Finish& finish) {
  const int64_t size = args.depth * kBlock;
  panel<kBlocks>(args.a, args.rows, args.lda,
                 args.packed + (block - args.packed_from) * size, size,
                 args.depth, finish);
}

// Blocks of a tile.
template <typename T>
constexpr int blocks_of(const GemmArgs<T>*) {
  return kTileBlocks;
}
template <typename T>
constexpr int blocks_of(const CodeGemmArgs<T>*) {
  return kCodeBlocks;
}
template <typename Args>
constexpr int kBlocksOf = blocks_of(static_cast<const Args*>(nullptr));

template <int kBlocks, typename Args>
void linear_panel(const Args& args, int64_t block) {
  each_row<kBlocks>(args, block, [&](int64_t row, const auto& c) {
    for (int b = 0; b < kBlocks; ++b) {
      store_block(args, row, (block + b) * kBlock, c + b * kVectors);
    }
  });
}

// Blocks 2i and 2i + 1 are gate and up of the same columns.
template <int kBlocks, Activation kind, typename Args>
void gated_panel(const Args& args, int64_t block) {
  each_row<kBlocks>(args, block, [&](int64_t row, const auto& c) {
    for (int b = 0; b < kBlocks; b += 2) {
      auto* out = args.activated + row * args.ldc + (block + b) / 2 * kBlock;
      for (int v = 0; v < kVectors; ++v) {
        Vf gate = c[b * kVectors + v];
        Vf up = c[(b + 1) * kVectors + v];
        if (args.bias != nullptr) {
          const float* bias = args.bias + (block + b) * kBlock + v * kLanes;
          gate += load(bias);
          up += load(bias + kBlock);
        }
        const Vf y = activate<kind>(gate) * up;
        for (int i = 0; i < kLanes; ++i) {
          out[v * kLanes + i] = round_to(y[i], out);
        }
      }
    }
  });
}

template <int kBlocks, Activation kind, typename Args>
void activated_panel(const Args& args, int64_t block) {
  each_row<kBlocks>(args, block, [&](int64_t row, const auto& c) {
    auto* out = args.activated + row * args.ldc + block * kBlock;
    for (int v = 0; v < kBlocks * kVectors; ++v) {
      Vf x = c[v];
      if (args.bias != nullptr) {
        x += load(args.bias + block * kBlock + v * kLanes);
      }
      const Vf y = activate<kind>(x);
      for (int i = 0; i < kLanes; ++i) {
        out[v * kLanes + i] = round_to(y[i], out);
      }
    }
  });
}

template <Activation kind, typename Args>
void activated_gemm(const Args& args) {
  constexpr int kMost = kBlocksOf<Args>;
  const int64_t end = args.first_block + args.num_blocks;
  int64_t block = args.first_block;
  if (args.is_paired) {
    constexpr int kPaired = kMost < 2 ? 2 : kMost;
    for (; block + kPaired <= end; block += kPaired) {
      gated_panel<kPaired, kind>(args, block);
    }
    for (; block < end; block += 2) gated_panel<2, kind>(args, block);
    return;
  }
  for (; block + kMost <= end; block += kMost) {
    activated_panel<kMost, kind>(args, block);
  }
  for (; block < end; ++block) activated_panel<1, kind>(args, block);
}

template <typename Args>
void gemm(const Args& args) {
  if (args.activated != nullptr) {
    switch (args.activation) {
      case Activation::kSilu:
        return activated_gemm<Activation::kSilu>(args);
      case Activation::kGelu:
        return activated_gemm<Activation::kGelu>(args);
      case Activation::kGeluTanh:
        return activated_gemm<Activation::kGeluTanh>(args);
      case Activation::kReluSquared:
        return activated_gemm<Activation::kReluSquared>(args);
    }
    return;
  }
  constexpr int kMost = kBlocksOf<Args>;
  const int64_t end = args.first_block + args.num_blocks;
  int64_t block = args.first_block;
  for (; block + kMost <= end; block += kMost) {
    linear_panel<kMost>(args, block);
  }
  for (; block < end; ++block) linear_panel<1>(args, block);
}

// ---- Codes ----

using Vh = uint16_t __attribute__((vector_size(kLanes * 4)));

SELFALIGN_INLINE void store_pair(float* out, int64_t v, Vf first, Vf second) {
  store(out + v * kLanes, first);
  store(out + kBlock + v * kLanes, second);
}
SELFALIGN_INLINE void store_pair(Bf16* out, int64_t v, Vf first, Vf second) {
#if defined(__AVX512BF16__) && SELFALIGN_LANES == 16
  // As below but for numbers under 1e-38, which it takes for zero.
  const Vh halves = (Vh)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
  const Vh order = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                    21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                    11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  *reinterpret_cast<VuLoad*>(out + v * kLanes * 2) =
      (Vu)_mm512_permutexvar_epi16((__m512i)order, (__m512i)halves);
#else
  const auto rounded = [](Vf x) {
    const Vu bits = (Vu)x;
    return bits + 0x7fffu + ((bits >> 16) & 1u);
  };
  const Vu upper = 0xffff0000u - Vu{};
  *reinterpret_cast<VuLoad*>(out + v * kLanes * 2) =
      (rounded(first) >> 16) | (rounded(second) & upper);
#endif
}

template <bool is_int4, typename T>
SELFALIGN_INLINE void unpack_block(const int8_t* codes, const Bf16* scales,
                                   int64_t depth, T* out) {
  constexpr int64_t kGroup = 32;
  for (int v = 0; v < kVectors; ++v) {
    for (int64_t group = 0; group < depth; group += kGroup) {
      const Vf scale = widen(scales + group / kGroup * kBlock + v * kLanes);
      const int64_t end = group + kGroup < depth ? group + kGroup : depth;
      for (int64_t k = group; k < end; k += 2) {
        Vi first, second;
        if constexpr (is_int4) {
          const Vi both = widen(codes + k / 2 * kBlock + v * kLanes);
          first = (both << 28) >> 28;
          second = both >> 4;
        } else {
          first = widen(codes + k * kBlock + v * kLanes);
          second = widen(codes + (k + 1) * kBlock + v * kLanes);
        }
        store_pair(out + k * kBlock, v,
                   __builtin_convertvector(first, Vf) * scale,
                   __builtin_convertvector(second, Vf) * scale);
      }
    }
  }
}

template <typename T>
void unpack(const UnpackArgs& args, T* out) {
  const int64_t groups = (args.depth + 31) / 32;
  for (int64_t b = 0; b < args.num_blocks; ++b) {
    const Bf16* scales = args.scales + b * groups * kBlock;
    T* to = out + b * args.depth * kBlock;
    if (args.is_int4) {
      unpack_block<true>(args.codes + b * args.depth * kBlock / 2, scales,
                         args.depth, to);
    } else {
      unpack_block<false>(args.codes + b * args.depth * kBlock, scales,
                          args.depth, to);
    }
  }
}

// ---- Row by row ----

template <typename T>
void rms_norm(const float* x, const float* weight, int64_t n, float eps,
              T* out) {
  Vf squares = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vf v = load(x + i);
    squares += v * v;
  }
  float sum = horizontal_sum(squares);
  for (; i < n; ++i) sum += x[i] * x[i];
  const float factor =
      1.0f / __builtin_sqrtf(sum / static_cast<float>(n) + eps);
  for (i = 0; i < n; ++i) out[i] = round_to(x[i] * factor * weight[i], out);
}

template <typename T>
void layer_norm(const float* x, const float* weight, const float* bias,
                int64_t n, float eps, T* out) {
  Vf sums = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sums += load(x + i);
  float sum = horizontal_sum(sums);
  for (; i < n; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(n);
  Vf squares = {};
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const Vf v = load(x + i) - mean;
    squares += v * v;
  }
  float variance = horizontal_sum(squares);
  for (; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const float factor =
      1.0f / __builtin_sqrtf(variance / static_cast<float>(n) + eps);
  for (i = 0; i < n; ++i) {
    const float y = (x[i] - mean) * factor * weight[i];
    out[i] = round_to(bias != nullptr ? y + bias[i] : y, out);
  }
}

template <typename T>
void rope(const float* x, const float* cos, const float* sin, int64_t n,
          T* out) {
  const int64_t half = n / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i], b = x[i + half];
    out[i] = round_to(a * cos[i] - b * sin[i], out);
    out[i + half] = round_to(b * cos[i + half] + a * sin[i + half], out);
  }
}

template <typename T>
void convert(const float* x, int64_t n, float factor, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = round_to(x[i] * factor, out);
}

// ---- Sampler ----

float max_all(const float* x, int64_t n) {
  Vf high = splat(-__builtin_inff());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) high = max_of(high, load(x + i));
  float m = horizontal_max(high);
  for (; i < n; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

double sum_exp(const float* x, int64_t n, float max) {
  constexpr int64_t kRun = 64 * kLanes;  // summed in float32
  double total = 0;
  for (int64_t i = 0; i < n; i += kRun) {
    const int64_t end = i + kRun < n ? i + kRun : n;
    Vf sum = {};
    int64_t j = i;
    for (; j + kLanes <= end; j += kLanes) sum += exp_of(load(x + j) - max);
    total += static_cast<double>(horizontal_sum(sum));
    for (; j < end; ++j)
      total += static_cast<double>(exp_of(splat(x[j] - max))[0]);
  }
  return total;
}

uint64_t exp_weights(const float* x, int64_t n, float max, float inverse,
                     uint32_t* out) {
  constexpr float kOne = 1073741824.0f;  // 2^30
  const auto weight = [&](Vf v) {
    return __builtin_convertvector(exp_of((v - max) * inverse) * kOne + 0.5f,
                                   Vi);
  };
  constexpr int64_t kRun = 32768 * kLanes;  // halves cannot overflow a lane
  uint64_t total = 0;
  for (int64_t i = 0; i < n; i += kRun) {
    const int64_t end = i + kRun < n ? i + kRun : n;
    Vu low = {}, high = {};
    int64_t j = i;
    for (; j + kLanes <= end; j += kLanes) {
      const Vu w = (Vu)weight(load(x + j));
      *reinterpret_cast<VuLoad*>(out + j) = w;
      low += w & 0xffffu;
      high += w >> 16;
    }
    for (; j < end; ++j) {
      out[j] = static_cast<uint32_t>(weight(splat(x[j]))[0]);
      total += out[j];
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      total += low[lane] + (uint64_t{high[lane]} << 16);
    }
  }
  return total;
}

// Whether any lane is above `cut`.
SELFALIGN_INLINE bool any_above(Vu x, uint32_t cut) {
#if defined(__AVX512F__) && SELFALIGN_LANES == 16
  return _mm512_cmpgt_epu32_mask((__m512i)x, _mm512_set1_epi32(int(cut))) != 0;
#else
  const Vi is_above = x > cut;  // -1 where it is
  int32_t any = 0;
  for (int lane = 0; lane < kLanes; ++lane) any |= is_above[lane];
  return any != 0;
#endif
}

int64_t keys_above(const uint32_t* weights, int64_t n, uint32_t cut,
                   uint64_t* out) {
  int64_t count = 0;
  const auto take = [&](int64_t i) {
    out[count] = uint64_t{weights[i]} << 32 | ~static_cast<uint32_t>(i);
    count += weights[i] > cut;
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    if (!any_above(*reinterpret_cast<const VuLoad*>(weights + i), cut)) {
      continue;
    }
    for (int lane = 0; lane < kLanes; ++lane) take(i + lane);
  }
  for (; i < n; ++i) take(i);
  return count;
}

template <typename T>
constexpr ModelKernels<T> model_kernels() {
  return {gemm<GemmArgs<T>>, gemm<CodeGemmArgs<T>>,
          quantize<T>,       unpack<T>,
          attend<T>,         encode_page<T>,
          rms_norm<T>,       layer_norm<T>,
          rope<T>,           convert<T>};
}

template <typename T>
constexpr TrainingKernels<T> training_kernels() {
  return {norm_row<T>, norm_row_backward<T>, gate_row<T>, gate_row_backward<T>,
          rotate_row<T>};
}

constexpr Kernels make_kernels(const char* name) {
  return {name,
          max_all,
          sum_exp,
          exp_weights,
          keys_above,
          attend_codes,
          model_kernels<float>(),
          model_kernels<Bf16>(),
          training_kernels<float>(),
          training_kernels<Bf16>()};
}

#undef SELFALIGN_INLINE

}  // namespace
}  // namespace selfalign::engine
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
