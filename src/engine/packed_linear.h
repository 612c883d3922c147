// SPDX-License-Identifier: Apache-2.0
// Weights of a linear layer in the order the kernels read them, and its
// product over all threads.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "engine/aligned.h"
#include "engine/kernels.h"
#include "engine/parallel.h"
#include "model/aten.h"

namespace selfalign::engine {

inline float to_float(float x) { return x; }
inline float to_float(Bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x) << 16);
}

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

template <typename T>
class PackedLinear {
 public:
  PackedLinear() = default;

  // Rows of several [out, in] weights, one after the other; biases the same,
  // undefined where there are none.
  PackedLinear(const std::vector<at::Tensor>& weights,
               const std::vector<at::Tensor>& biases) {
    const at::Tensor all =
        weights.size() == 1 ? weights[0].contiguous() : at::cat(weights, 0);
    init(all.size(1), all.size(0));
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

  // Alternating blocks of two weights of the same shape, and of their biases,
  // both undefined where there are none.
  static PackedLinear gated(const at::Tensor& gate, const at::Tensor& up,
                            const at::Tensor& gate_bias = {},
                            const at::Tensor& up_bias = {}) {
    PackedLinear linear;
    const at::Tensor g = gate.contiguous(), u = up.contiguous();
    linear.init(g.size(1), 2 * round_up(g.size(0), kBlock));
    linear.is_paired_ = true;
    parallel_for(linear.num_blocks_, [&](int64_t block) {
      linear.pack_block(elements<T>(block % 2 == 0 ? g : u), g.size(0),
                        block / 2 * kBlock, block);
    });
    if (!gate_bias.defined()) return linear;
    linear.bias_.resize(static_cast<size_t>(linear.columns_));
    const std::vector<float> parts[] = {to_floats(gate_bias),
                                        to_floats(up_bias)};
    for (int64_t j = 0; j < g.size(0); ++j) {
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
  // Memory it holds.
  int64_t bytes() const {
    return static_cast<int64_t>(packed_.size() * sizeof(T) +
                                bias_.size() * sizeof(float));
  }

  // a [rows, depth], columns over the weight's own are zero.
  void run(const ModelKernels<T>& set, const T* a, int64_t rows,
           const LinearOut<T>& to) const {
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
      GemmArgs<T> args{.a = a + first_row * depth_,
                       .rows = std::min(part_rows, rows - first_row),
                       .lda = depth_,
                       .depth = depth_,
                       .packed = packed_.data(),
                       .first_block = block,
                       .num_blocks = std::min(kPanel, num_blocks_ - block),
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
      set.gemm(args);
    });
  }

 private:
  void init(int64_t depth, int64_t columns) {
    depth_ = round_up(depth, kBlock);
    in_ = depth;
    columns_ = columns;
    num_blocks_ = round_up(columns, kBlock) / kBlock;
    packed_.resize(static_cast<size_t>(num_blocks_ * kBlock * depth_));
  }

  // 16 rows of weights [num_rows, in] from first_row on.
  void pack_block(const T* weights, int64_t num_rows, int64_t first_row,
                  int64_t block) {
    T* to = packed_.data() + block * kBlock * depth_;
    const int64_t rows = std::min(kBlock, num_rows - first_row);
    for (int64_t j = 0; j < rows; ++j) {
      const T* from = weights + (first_row + j) * in_;
      for (int64_t k = 0; k < in_; ++k) to[packed_index<T>(k, j)] = from[k];
    }
  }

  int64_t depth_ = 0, in_ = 0, columns_ = 0, num_blocks_ = 0;
  bool is_paired_ = false;
  Aligned<T> packed_;        // [blocks, depth, 16], see kernels.h
  std::vector<float> bias_;  // in whole blocks
};

}  // namespace selfalign::engine
