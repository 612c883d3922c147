// SPDX-License-Identifier: Apache-2.0
// Weights of a linear layer in the order the kernels read them, and its
// product over all threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/profile.h"
#include "engine/aligned.h"
#include "engine/kernels.h"
#include "engine/packed_int8.h"
#include "engine/parallel.h"
#include "model/aten.h"
#include "model/rounding.h"

namespace selfalign::engine {

using model::Rounding;

// Elements of a contiguous tensor of T's type.
template <typename T>
const T* elements(const at::Tensor& tensor) {
  SELFALIGN_CHECK(tensor.is_contiguous() && tensor.element_size() == sizeof(T),
                  "tensor of another layout");
  return static_cast<const T*>(tensor.const_data_ptr());
}

inline std::vector<float> to_floats(const at::Tensor& tensor) {
  const at::Tensor f = tensor.to(at::kFloat).contiguous();
  return {f.const_data_ptr<float>(), f.const_data_ptr<float>() + f.numel()};
}

// Where a product goes: see GemmArgs.
template <typename T>
struct LinearOut {
  float* out = nullptr;
  bool accumulate = false;
  T* activated = nullptr;
  Activation activation = Activation::kSilu;
};

// Blocks of a packed matrix in codes of few bits (model/rounding.h).
template <typename T>
class PackedCodes {
 public:
  PackedCodes() = default;
  PackedCodes(Rounding rounding, int64_t num_blocks, int64_t depth)
      : is_int4_(rounding == Rounding::kInt4),
        rounding_(rounding),
        depth_(depth),
        groups_((depth + kGroup - 1) / kGroup),
        codes_(static_cast<size_t>(num_blocks * kBlock * depth /
                                   (is_int4_ ? 2 : 1))),
        scales_(static_cast<size_t>(num_blocks * groups_ * kBlock)) {}

  int64_t bytes() const {
    return static_cast<int64_t>(codes_.size() + scales_.size() * sizeof(Bf16));
  }

  // Rounds rows of `in` values to the first columns of a block.
  void set(int64_t block, const T* weights, int64_t rows, int64_t in) {
    std::vector<float> values(static_cast<size_t>(in));
    std::vector<int8_t> codes(static_cast<size_t>(in));
    std::vector<Bf16> scales(static_cast<size_t>(groups_));
    for (int64_t j = 0; j < rows; ++j) {
      for (int64_t k = 0; k < in; ++k)
        values[k] = to_float(weights[j * in + k]);
      model::round_row(values.data(), in, rounding_, codes.data(),
                       scales.data());
      for (int64_t g = 0; g < groups_; ++g) {
        scales_[(block * groups_ + g) * kBlock + j] = scales[g];
      }
      for (int64_t k = 0; k < in; ++k) {
        int8_t& place = codes_[place_of(block, k, j)];
        if (!is_int4_) {
          place = codes[k];
        } else if (k % 2 == 0) {
          place = static_cast<int8_t>((place & ~15) | (codes[k] & 15));
        } else {
          place = static_cast<int8_t>((place & 15) | codes[k] * 16);
        }
      }
    }
  }

  // Element (k, column) of a block, in T's precision.
  float value(int64_t block, int64_t k, int64_t column) const {
    const int8_t byte = codes_[place_of(block, k, column)];
    int code = byte;
    if (is_int4_) {
      code = k % 2 == 0 ? static_cast<int8_t>(code * 16) >> 4 : code >> 4;
    }
    const float scale =
        to_float(scales_[(block * groups_ + k / kGroup) * kBlock + column]);
    const float value = static_cast<float>(code) * scale;
    if constexpr (sizeof(T) == sizeof(float)) return value;
    return model::from_bfloat16(model::to_bfloat16(value));
  }

  // The packed values of some blocks, for as long as this thread asks for no
  // others.
  const T* unpack(const ModelKernels<T>& set, int64_t block,
                  int64_t num_blocks) const {
    static thread_local Aligned<T> values;
    values.resize(static_cast<size_t>(num_blocks * kBlock * depth_));
    set.unpack({.codes = codes_.data() + place_of(block, 0, 0),
                .scales = scales_.data() + block * groups_ * kBlock,
                .is_int4 = is_int4_,
                .depth = depth_,
                .num_blocks = num_blocks},
               values.data());
    return values.data();
  }

 private:
  static constexpr int64_t kGroup = model::kRoundingGroup;

  int64_t place_of(int64_t block, int64_t k, int64_t column) const {
    return is_int4_ ? (block * depth_ / 2 + k / 2) * kBlock + column
                    : (block * depth_ + k) * kBlock + column;
  }

  bool is_int4_ = false;
  Rounding rounding_ = Rounding::kNone;
  int64_t depth_ = 0, groups_ = 0;
  Aligned<int8_t> codes_;  // see UnpackArgs
  Aligned<Bf16> scales_;
};

template <typename T>
class PackedLinear {
 public:
  PackedLinear() = default;

  // Rows of several [out, in] weights, one after the other; biases the same,
  // undefined where there are none.
  PackedLinear(const std::vector<at::Tensor>& weights,
               const std::vector<at::Tensor>& biases,
               Rounding rounding = Rounding::kNone) {
    const at::Tensor all =
        weights.size() == 1 ? weights[0].contiguous() : at::cat(weights, 0);
    init(all.size(1), all.size(0), rounding);
    const T* rows = elements<T>(all);
    parallel_for(num_blocks_, [&](int64_t block) {
      pack_block(rows, all.size(0), block * kBlock, block);
    });
    int64_t at = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      if (i < biases.size() && biases[i].defined()) {
        const std::vector<float> values = to_floats(biases[i]);
        bias_.resize(static_cast<size_t>(num_blocks_ * kBlock));
        std::copy(values.begin(), values.end(), bias_.begin() + at);
      }
      at += weights[i].size(0);
    }
  }

  // Alternating blocks of two weights of the same shape, values(0) and
  // values(1), which are asked for in turn, and of their biases, both undefined
  // where there are none.
  template <typename Values>
  static PackedLinear gated(const Values& values, const at::Tensor& gate_bias,
                            const at::Tensor& up_bias, Rounding rounding) {
    PackedLinear linear;
    int64_t width = 0;
    for (int64_t part = 0; part < 2; ++part) {
      const at::Tensor weight = values(static_cast<size_t>(part)).contiguous();
      width = weight.size(0);
      if (part == 0) {
        linear.init(weight.size(1), 2 * round_up(width, kBlock), rounding);
        linear.is_paired_ = true;
      }
      parallel_for(linear.num_blocks_ / 2, [&](int64_t pair) {
        linear.pack_block(elements<T>(weight), width, pair * kBlock,
                          2 * pair + part);
      });
    }
    if (!gate_bias.defined()) return linear;
    linear.bias_.resize(static_cast<size_t>(linear.columns_));
    const std::vector<float> parts[] = {to_floats(gate_bias),
                                        to_floats(up_bias)};
    for (int64_t j = 0; j < width; ++j) {
      for (int64_t part = 0; part < 2; ++part) {
        linear.bias_[static_cast<size_t>((j / kBlock * 2 + part) * kBlock +
                                         j % kBlock)] =
            parts[part][static_cast<size_t>(j)];
      }
    }
    return linear;
  }

  // Input columns as the kernels take them: row stride of `a` in run().
  int64_t depth() const { return depth_; }
  // Output columns; row stride of `out`. An activated product has depth()
  // columns of the layer that follows.
  int64_t columns() const { return columns_; }
  int64_t bytes() const {  // of memory
    return static_cast<int64_t>(packed_.size() * sizeof(T) +
                                bias_.size() * sizeof(float)) +
           codes_.bytes() + whole_.bytes();
  }

  // A row of the weight, [in]: what its column of the product is made with.
  void row(int64_t index, float* out) const {
    if (is_whole()) return whole_.row(index, in_, out);
    const int64_t block = index / kBlock, column = index % kBlock;
    const T* from = packed_.data() + block * kBlock * depth_;
    for (int64_t k = 0; k < in_; ++k) {
      out[k] = is_coded() ? codes_.value(block, k, column)
                          : to_float(from[packed_index<T>(k, column)]);
    }
  }

  // The first `rows` of `in`, whose values in columns over the weight's own
  // are zero.
  void run(const ModelKernels<T>& set, const ProductRows<T>& in, int64_t rows,
           const LinearOut<T>& to) const {
    const ProfilePart part("products");
    if (is_whole()) return run_whole(set, in, rows, to);
    // Panels of columns, and with few of them rows in two parts, so that the
    // threads end together.
    constexpr int64_t kPanel = 4;
    const int64_t panels = (num_blocks_ + kPanel - 1) / kPanel;
    const int64_t parts =
        panels < int64_t{8} * num_threads() && rows >= 12 ? 2 : 1;
    const int64_t part_rows = round_up((rows + parts - 1) / parts, 6);
    parallel_for(panels * parts, [&](int64_t task) {
      const int64_t first_row = task % parts * part_rows;
      const int64_t block = task / parts * kPanel;
      GemmArgs<T> args = place(to, first_row, block, kPanel);
      args.a = in.row(first_row);
      args.rows = std::min(part_rows, rows - first_row);
      args.lda = depth_;
      args.packed = packed_.data();
      if (is_coded()) {
        args.packed = codes_.unpack(set, block, args.num_blocks);
        args.packed_from = block;
      }
      set.gemm(args);
    });
  }

 private:
  bool is_whole() const { return rounding_ == Rounding::kW8a8; }
  bool is_coded() const { return rounding_ != Rounding::kNone; }

  // Two blocks of all rows a task: they stay in the first cache for all of
  // them, and tasks are small enough for threads to end together.
  void run_whole(const ModelKernels<T>& set, const ProductRows<T>& in,
                 int64_t rows, const LinearOut<T>& to) const {
    constexpr int64_t kPanel = 2;
    parallel_for((num_blocks_ + kPanel - 1) / kPanel, [&](int64_t panel) {
      CodeGemmArgs<T> args{place(to, 0, panel * kPanel, kPanel)};
      args.rows = rows;
      args.codes = in.codes(0);
      args.row_scales = in.scale(0);
      whole_.give(args);
      set.code_gemm(args);
    });
  }

  // Where at most `num_blocks` blocks of the rows from first_row on go.
  GemmArgs<T> place(const LinearOut<T>& to, int64_t first_row, int64_t block,
                    int64_t num_blocks) const {
    GemmArgs<T> args{.depth = depth_,
                     .first_block = block,
                     .num_blocks = std::min(num_blocks, num_blocks_ - block),
                     .columns = columns_,
                     .bias = bias_.empty() ? nullptr : bias_.data(),
                     .accumulate = to.accumulate};
    if (to.activated != nullptr) {
      args.ldc = is_paired_ ? columns_ / 2 : num_blocks_ * kBlock;
      args.activated = to.activated + first_row * args.ldc;
      args.is_paired = is_paired_;
      args.activation = to.activation;
    } else {
      args.ldc = columns_;
      args.out = to.out + first_row * args.ldc;
    }
    return args;
  }

  void init(int64_t depth, int64_t columns, Rounding rounding) {
    rounding_ = rounding;
    depth_ = round_up(depth, kBlock);
    in_ = depth;
    columns_ = columns;
    num_blocks_ = round_up(columns, kBlock) / kBlock;
    if (is_whole()) {
      whole_ = {num_blocks_, depth_};
    } else if (is_coded()) {
      codes_ = {rounding, num_blocks_, depth_};
    } else {
      packed_.resize(static_cast<size_t>(num_blocks_ * kBlock * depth_));
    }
  }

  // 16 rows of weights [num_rows, in] from first_row on.
  void pack_block(const T* weights, int64_t num_rows, int64_t first_row,
                  int64_t block) {
    const int64_t rows = std::min(kBlock, num_rows - first_row);
    const T* first = weights + first_row * in_;
    if (is_whole()) return whole_.set(block * kBlock, first, rows, in_);
    if (is_coded()) return codes_.set(block, first, rows, in_);
    T* to = packed_.data() + block * kBlock * depth_;
    for (int64_t j = 0; j < rows; ++j) {
      const T* from = first + j * in_;
      for (int64_t k = 0; k < in_; ++k) to[packed_index<T>(k, j)] = from[k];
    }
  }

  int64_t depth_ = 0, in_ = 0, columns_ = 0, num_blocks_ = 0;
  bool is_paired_ = false;
  Rounding rounding_ = Rounding::kNone;
  // One of them has the weights.
  Aligned<T> packed_;  // [blocks, depth, 16], see kernels.h
  PackedCodes<T> codes_;
  PackedInt8 whole_;
  std::vector<float> bias_;  // in whole blocks
};

}  // namespace selfalign::engine
