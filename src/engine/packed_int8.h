// SPDX-License-Identifier: Apache-2.0
// The two sides of a product of whole numbers of 8 bits (`--weights w8a8`):
// weights with a scale for each column of the product, and rows with a scale
// each, which depends on the row alone.
//
// Some channels of a row are tens of times as large as the others, which would
// have few of the 255 numbers left. So both sides are rotated along the depth,
// by a Hadamard matrix block by block: the product is the same, and what was in
// one channel is spread over 64 (Ashkboos et al. 2024, QuaRot). Measured with
// SmolLM2 (docs/models.md), the error of a token's log-probability is a third;
// scales for each 64 of the depth make it a half, and cost time in each
// product.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/aligned.h"
#include "engine/kernels.h"
#include "model/rounding.h"

namespace selfalign::engine {

inline float to_float(float x) { return x; }
inline float to_float(Bf16 x) { return model::from_bfloat16(x); }

// Rotates a row of n numbers, a multiple of kBlock, in place; twice gives the
// row again.
inline void rotate(float* row, int64_t n) {
  for (int64_t begin = 0; begin < n;) {
    const int64_t size = n - begin >= kRotated ? kRotated : kBlock;
    float* x = row + begin;
    for (int64_t step = 1; step < size; step *= 2) {
      for (int64_t i = 0; i < size; ++i) {
        if ((i & step) != 0) continue;
        const float a = x[i], b = x[i + step];
        x[i] = a + b;
        x[i + step] = a - b;
      }
    }
    for (int64_t i = 0; i < size; ++i)
      x[i] *= size == kRotated ? 0.125f : 0.25f;
    begin += size;
  }
}

// Blocks of a packed matrix; see CodeGemmArgs.
class PackedInt8 {
 public:
  PackedInt8() = default;
  PackedInt8(int64_t num_blocks, int64_t depth)
      : depth_(depth),
        codes_(static_cast<size_t>(num_blocks * kBlock * depth)),
        scales_(static_cast<size_t>(num_blocks * kBlock)),
        offsets_(scales_.size()) {}

  int64_t bytes() const {
    return static_cast<int64_t>(codes_.size() + scales_.size() * sizeof(float) +
                                offsets_.size() * sizeof(int32_t));
  }

  // Rounds rows of `in` values of the weight, which are columns of the product.
  template <typename T>
  void set(int64_t first_column, const T* weights, int64_t rows, int64_t in) {
    std::vector<float> values(static_cast<size_t>(depth_));
    std::vector<int8_t> codes(static_cast<size_t>(depth_));
    for (int64_t j = 0; j < rows; ++j) {
      std::fill(values.begin(), values.end(), 0.0f);
      for (int64_t k = 0; k < in; ++k) {
        values[static_cast<size_t>(k)] = to_float(weights[j * in + k]);
      }
      rotate(values.data(), depth_);
      const int64_t column = first_column + j;
      scales_[static_cast<size_t>(column)] =
          model::round_whole_row(values.data(), depth_, codes.data());
      int32_t sum = 0;
      for (int64_t k = 0; k < depth_; ++k) {
        codes_[place_of(k, column)] = codes[static_cast<size_t>(k)];
        sum += codes[static_cast<size_t>(k)];
      }
      offsets_[static_cast<size_t>(column)] = 128 * sum;
    }
  }

  // The first `in` values of such a row.
  void row(int64_t column, int64_t in, float* out) const {
    std::vector<float> values(static_cast<size_t>(depth_));
    for (int64_t k = 0; k < depth_; ++k) {
      values[static_cast<size_t>(k)] =
          static_cast<float>(codes_[place_of(k, column)]) *
          scales_[static_cast<size_t>(column)];
    }
    rotate(values.data(), depth_);
    std::copy_n(values.begin(), in, out);
  }

  // Their part of the arguments.
  template <typename T>
  void give(CodeGemmArgs<T>& args) const {
    args.packed_codes = codes_.data();
    args.scales = scales_.data();
    args.offsets = offsets_.data();
  }

 private:
  size_t place_of(int64_t k, int64_t column) const {
    return static_cast<size_t>(column / kBlock * kBlock * depth_ +
                               code_index(k, column % kBlock));
  }

  int64_t depth_ = 0;
  Aligned<int8_t> codes_;
  Aligned<float> scales_;
  Aligned<int32_t> offsets_;
};

// Rows that products take: values [rows, width], and their codes where the
// product is of whole numbers.
template <typename T>
class ProductRows {
 public:
  // `width`, in whole blocks, is the depth of the products.
  void resize(int64_t rows, int64_t width, bool is_coded) {
    width_ = width;
    values_.resize(static_cast<size_t>(rows * width));
    if (!is_coded) return;
    codes_.resize(values_.size());
    scales_.resize(static_cast<size_t>(rows));
  }

  int64_t width() const { return width_; }
  T* row(int64_t index) { return values_.data() + index * width_; }
  const T* row(int64_t index) const { return values_.data() + index * width_; }
  const uint8_t* codes(int64_t index) const {
    return codes_.data() + index * width_;
  }
  const float* scale(int64_t index) const { return scales_.data() + index; }

  bool is_coded() const { return !codes_.empty(); }
  // Once a row has its values.
  void code(const ModelKernels<T>& set, int64_t index) {
    if (!is_coded()) return;
    static thread_local Aligned<float> rotated;
    rotated.resize(static_cast<size_t>(width_));
    scales_[static_cast<size_t>(index)] = set.quantize(
        row(index), width_, rotated.data(), codes_.data() + index * width_);
  }

 private:
  int64_t width_ = 0;
  Aligned<T> values_;
  Aligned<uint8_t> codes_;
  std::vector<float> scales_;
};

}  // namespace selfalign::engine
