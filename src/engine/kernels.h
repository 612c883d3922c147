// SPDX-License-Identifier: Apache-2.0
// The inner loops of the CPU decoder and the sampler, compiled once for each
// instruction set (kernels_impl.h) and chosen at run time. All are functions
// of plain memory; none allocates or starts threads.
//
// Packed matrices. The right side of every product (weights, keys, values) is
// stored in blocks of 16 columns, so that one row of a block is one AVX-512
// register of float32:
//   float32:  [blocks][depth][16]
//   bfloat16: [blocks][depth / 2][16][2], pairs along the depth beside each
//             other as the dot-product instruction takes them.
// Element (k, j) of a block is at packed_index<T>(k, j). Unused columns and
// depth are zero.
//
// An output element is always the sum over the depth in the same order, from
// one register: its bits depend on its row and its column alone.
#pragma once

#include <cstdint>

#include "formats/activation.h"

namespace selfalign::engine {

constexpr int64_t kBlock = 16;     // columns of a packed block
constexpr int64_t kRotated = 64;   // numbers that are rotated together
constexpr int64_t kPageKeys = 64;  // keys of a page of the cache
constexpr int64_t kMaxHeadSize = 1024;
constexpr int64_t kMaxRows = 48;  // query rows of one attend() call

using Bf16 = uint16_t;  // the bits of a bfloat16

template <typename T>
constexpr int64_t packed_index(int64_t k, int64_t column) {
  if constexpr (sizeof(T) == sizeof(Bf16)) {
    return (k / 2) * 2 * kBlock + column * 2 + k % 2;
  } else {
    return k * kBlock + column;
  }
}

constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

using formats::Activation;

template <typename T>
struct GemmArgs {
  const T* a = nullptr;  // [rows, depth], row stride lda
  int64_t rows = 0, lda = 0;
  int64_t depth = 0;  // even
  const T* packed = nullptr;
  int64_t packed_from = 0;  // the block that `packed` begins with
  int64_t first_block = 0, num_blocks = 0;  // of the packed matrix to compute
  int64_t columns = 0;          // of the whole product; those beyond are cut
  const float* bias = nullptr;  // [columns in whole blocks] or null
  float* out = nullptr;         // [rows, columns], row stride ldc
  int64_t ldc = 0;
  bool accumulate = false;  // add to out
  // If set, the product goes through `activation` to here, in whole blocks, row
  // stride ldc; `out` is unused. `is_paired`: blocks come in pairs (gate, up),
  // and activation(gate) * up goes here, half as many columns.
  T* activated = nullptr;
  bool is_paired = true;
  Activation activation = Activation::kSilu;
};

// A product of whole numbers of 8 bits: `a` and `packed` are unused. Rows are
// of `depth` numbers, a multiple of 4, of which a byte is 128 more. Columns are
// in blocks [depth / 4][16][4]. What the sums stand for, sum * scale of the
// column * scale of the row, goes on as the product does.
template <typename T>
struct CodeGemmArgs : GemmArgs<T> {
  const uint8_t* codes = nullptr;     // [rows, depth]
  const float* row_scales = nullptr;  // [rows]
  const int8_t* packed_codes = nullptr;
  // In whole blocks: scales, and 128 times the sum of a column's numbers.
  const float* scales = nullptr;
  const int32_t* offsets = nullptr;
};

// Place of element (k, column) of such a block.
constexpr int64_t code_index(int64_t k, int64_t column) {
  return k / 4 * 4 * kBlock + column * 4 + k % 4;
}

// Blocks of a packed matrix in codes (model/rounding.h): of each, rows of 16
// int8, or rows of 16 bytes with the codes of two in their halves, the first in
// the low one; and for each 32 rows 16 scales.
struct UnpackArgs {
  const int8_t* codes = nullptr;
  const Bf16* scales = nullptr;
  bool is_int4 = false;
  int64_t depth = 0;  // even
  int64_t num_blocks = 0;
};

// Softmax attention of query rows over one page after the other: `out` holds
// sums weighted by exp(score - max), `sum` the sum of those weights (the
// log-sum-exp merge, done page by page). Rows begin with out 0, sum 0 and max
// -infinity.
template <typename T>
struct AttendArgs {
  const T* q = nullptr;       // [rows, dim]
  int64_t rows = 0;           // at most kMaxRows
  int64_t dim = 0;            // head size, a multiple of kBlock
  float scale = 1;            // of the scores
  float softcap = 0;          // c: scores become c tanh(score / c); 0: none
  const T* keys = nullptr;    // packed: depth dim, columns the page's keys
  const T* values = nullptr;  // packed: depth the page's keys, columns dim
  int64_t num_keys = 0;       // of the page, 1..kPageKeys
  const T* next = nullptr;    // keys and values, one behind the other, of the
                              // page to come, which are fetched; null: none
  const int64_t* visible = nullptr;  // [rows]: keys of the page it sees, or
                                     // null: all; may be over or below range
  const int64_t* hidden = nullptr;   // [rows]: keys at the page's beginning
                                     // that it does not see; likewise
  float* out = nullptr;              // [rows, dim]
  float* max = nullptr;              // [rows]
  float* sum = nullptr;              // [rows]
};

// A page of keys and values as whole numbers of 8 bits: keys, rotated as
// quantize() rotates, with a scale each, values with one for each of the head's
// numbers. Offsets are 128 times the sum of what has one scale.
struct CodePage {
  int8_t* keys = nullptr;            // blocks [kPageKeys / 16][dim / 4][16][4]
  int8_t* values = nullptr;          // blocks [dim / 16][kPageKeys / 4][16][4]
  float* key_scales = nullptr;       // [kPageKeys]
  int32_t* key_offsets = nullptr;    // [kPageKeys]
  float* value_scales = nullptr;     // [dim]
  int32_t* value_offsets = nullptr;  // [dim]
};

// Bytes of one whose parts stand one behind the other (code_page.h).
constexpr int64_t code_page_bytes(int64_t dim) {
  return 2 * kPageKeys * dim + (kPageKeys + dim) * 8;
}

// Attention over such a page, of kPageKeys keys that all rows see but for
// `hidden` ones; what AttendArgs has for other keys and values is unused.
// Weights are 255ths of the page's largest.
struct CodeAttendArgs : AttendArgs<float> {
  const uint8_t* q_codes = nullptr;  // [rows, dim], of quantize()
  const float* q_scales = nullptr;   // [rows]
  CodePage page;
  const int8_t* next_page = nullptr;  // as `next`: its keys, then the rest
};

template <typename T>
struct ModelKernels {
  void (*gemm)(const GemmArgs<T>&);
  void (*code_gemm)(const CodeGemmArgs<T>&);
  // Codes + 128 of a row of n values, a multiple of kBlock, after they went
  // through a Hadamard matrix, block by block of kRotated, the rest of kBlock,
  // to `rotated` (see packed_int8.h): value / scale, rounded, ties to even;
  // returns scale = max|value| / 127. Below 1e-30 all are 0 and so is the
  // scale; it is NaN where a value is none or infinite.
  float (*quantize)(const T* x, int64_t n, float* rotated, uint8_t* out);
  // The blocks' values, packed.
  void (*unpack)(const UnpackArgs&, T* out);
  void (*attend)(const AttendArgs<T>&);
  // A full page's packed keys and values, rounded as quantize() rounds.
  void (*encode_page)(const T* keys, const T* values, int64_t dim,
                      const CodePage& to);
  // out = x / sqrt(mean(x^2) + eps) * weight, n elements.
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps,
                   T* out);
  // out = (x - mean) / sqrt(variance + eps) * weight + bias, n elements; no
  // bias where it is null.
  void (*layer_norm)(const float* x, const float* weight, const float* bias,
                     int64_t n, float eps, T* out);
  // Rotates the halves of n elements of a head; cos, sin [n].
  void (*rope)(const float* x, const float* cos, const float* sin, int64_t n,
               T* out);
  // out = x * factor, rounded.
  void (*convert)(const float* x, int64_t n, float factor, T* out);
};

// Rows of a training, forward and backward: n elements of each.
template <typename T>
struct TrainingKernels {
  // out = x * factor * weight, factor = 1 / sqrt(mean(x^2) + eps), which it
  // returns; and of d loss / d out, `gradient`, d loss / d x.
  float (*norm)(const T* x, const float* weight, int64_t n, float eps, T* out);
  void (*norm_backward)(const T* x, const float* weight, const T* gradient,
                        int64_t n, float factor, T* out);
  // out = silu(gate) * up; and its gradients to both.
  void (*gate)(const T* gate, const T* up, int64_t n, T* out);
  void (*gate_backward)(const T* gate, const T* up, const T* gradient,
                        int64_t n, T* gate_out, T* up_out);
  // As ModelKernels::rope; backward, x being the gradient, its transpose.
  void (*rotate)(const T* x, const float* cos, const float* sin, int64_t n,
                 bool is_backward, T* out);
};

struct Kernels {
  const char* name;  // "amx", "avx512_bf16", "avx512", "avx2", "generic"
  float (*max)(const float* x, int64_t n);
  // Sum of exp(x_i - max).
  double (*sum_exp)(const float* x, int64_t n, float max);
  // out_i = round(2^30 exp((x_i - max) * inverse_temperature)); their sum.
  uint64_t (*exp_weights)(const float* x, int64_t n, float max,
                          float inverse_temperature, uint32_t* out);
  // Of the weights above `cut`, in their order: weight << 32 | the place's
  // complement. Returns how many; `out` has room for n.
  int64_t (*keys_above)(const uint32_t* weights, int64_t n, uint32_t cut,
                        uint64_t* out);
  void (*attend_codes)(const CodeAttendArgs&);
  ModelKernels<float> f32;
  ModelKernels<Bf16> bf16;
  TrainingKernels<float> training_f32;
  TrainingKernels<Bf16> training_bf16;

  template <typename T>
  const ModelKernels<T>& of() const {
    if constexpr (sizeof(T) == sizeof(Bf16)) {
      return bf16;
    } else {
      return f32;
    }
  }
  template <typename T>
  const TrainingKernels<T>& training() const {
    if constexpr (sizeof(T) == sizeof(Bf16)) {
      return training_bf16;
    } else {
      return training_f32;
    }
  }
};

// The best set for this processor. SELFALIGN_KERNELS in the environment asks
// for another one by name (tests, comparisons, a run that was begun with it);
// Error kUsage where this processor lacks that.
const Kernels& kernels();

// Error kUsage, of that variable, where there is none of that name.
const Kernels& kernel_set_named(const char* name);

// Sets that this processor has, best first.
int num_kernel_sets();
const Kernels& kernel_set(int index);

}  // namespace selfalign::engine
