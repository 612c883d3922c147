// SPDX-License-Identifier: Apache-2.0
#include "train/frozen_base.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "engine/kernels.h"
#include "engine/packed_linear.h"

namespace selfalign::train {
namespace {

using engine::Bf16;
using engine::kBlock;
using formats::Projection;

// Part of a product: `num_blocks` blocks of columns from `block` on, `num_rows`
// rows from `row` on.
struct Part {
  int64_t block, num_blocks, row, num_rows;
};

// work(part) for panels of `panel` blocks, shared out to all threads, and `run`
// rows at a time, which stay in the second cache for all panels of a thread.
template <typename Work>
void each_part(int64_t num_blocks, int64_t panel, int64_t rows, int64_t run,
               const Work& work) {
  const int64_t panels = (num_blocks + panel - 1) / panel;
  at::parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < rows; row += run) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t block = i * panel;
        work(Part{block, std::min(panel, num_blocks - block), row,
                  std::min(run, rows - row)});
      }
    }
  });
}

constexpr int64_t kRunRows = 256;

// x [rows, n] with zeros behind each row, up to whole blocks.
at::Tensor in_whole_blocks(const at::Tensor& x) {
  const int64_t n = x.size(1), depth = engine::round_up(n, kBlock);
  if (n == depth) return x.contiguous();
  at::Tensor whole = at::zeros({x.size(0), depth}, x.options());
  whole.narrow(1, 0, n).copy_(x);
  return whole;
}

// A product's place: [rows, columns] float32.
struct Sums {
  at::Tensor values;
  bool accumulate = false;  // is added to
};

template <typename Args>
void set_place(const Sums& sums, const Part& part, Args& args) {
  args.rows = part.num_rows;
  args.first_block = part.block;
  args.num_blocks = part.num_blocks;
  args.columns = args.ldc = sums.values.size(1);
  args.accumulate = sums.accumulate;
  args.out = sums.values.mutable_data_ptr<float>() + part.row * args.ldc;
}

// A matrix [out, in] in bfloat16, packed for x W^T.
class PackedMatrix {
 public:
  using Rows = at::Tensor;
  static constexpr int64_t kPanel = 4;

  PackedMatrix() = default;
  explicit PackedMatrix(const at::Tensor& matrix)
      : out_(matrix.size(0)),
        in_(matrix.size(1)),
        depth_(engine::round_up(in_, kBlock)),
        packed_(size_t(engine::round_up(out_, kBlock) * depth_)) {
    const at::Tensor held = matrix.contiguous();
    const auto* rows = engine::elements<Bf16>(held);
    each_part(num_blocks(out_), kPanel, 1, 1, [&](const Part& part) {
      const int64_t first = part.block * kBlock;
      const int64_t end = std::min(out_, first + part.num_blocks * kBlock);
      for (int64_t n = first; n < end; ++n) {
        Bf16* to = packed_.data() + n / kBlock * kBlock * depth_;
        for (int64_t k = 0; k < in_; ++k) {
          to[engine::packed_index<Bf16>(k, n % kBlock)] = rows[n * in_ + k];
        }
      }
    });
  }

  int64_t out() const { return out_; }
  int64_t in() const { return in_; }

  static Rows rows(const at::Tensor& x) { return in_whole_blocks(x); }

  void forward(const Rows& x, const Sums& to) const {
    each_part(
        num_blocks(out_), kPanel, x.size(0), kRunRows,
        [&](const Part& part) { multiply(x, packed_.data(), 0, part, to); });
  }

  void backward(const Rows& gradient, const Sums& to) const {
    const int64_t depth = engine::round_up(out_, kBlock);
    const int64_t rows = gradient.size(0);
    each_part(num_blocks(in_), kPanel, rows, rows, [&](const Part& part) {
      static thread_local engine::Aligned<Bf16> turned;
      turned.resize(size_t(part.num_blocks * kBlock * depth));
      for (int64_t i = 0; i < part.num_blocks; ++i) {
        transpose(part.block + i, turned.data() + i * kBlock * depth);
      }
      multiply(gradient, turned.data(), part.block, part, to);
    });
  }

 private:
  static int64_t num_blocks(int64_t columns) {
    return engine::round_up(columns, kBlock) / kBlock;
  }

  // `packed` begins with the block `from`.
  static void multiply(const Rows& x, const Bf16* packed, int64_t from,
                       const Part& part, const Sums& to) {
    engine::GemmArgs<Bf16> args;
    set_place(to, part, args);
    args.depth = args.lda = x.size(1);
    args.a = engine::elements<Bf16>(x) + part.row * args.lda;
    args.packed = packed;
    args.packed_from = from;
    engine::kernels().bf16.gemm(args);
  }

  // Columns 16 * block and so on of the matrix as a block of W.
  void transpose(int64_t block, Bf16* to) const {
    for (int64_t i = 0; i < num_blocks(out_); ++i) {
      const Bf16* from = packed_.data() + i * kBlock * depth_ +
                         engine::packed_index<Bf16>(block * kBlock, 0);
      Bf16* tile = to + engine::packed_index<Bf16>(i * kBlock, 0);
      for (int64_t n = 0; n < kBlock; ++n) {
        for (int64_t k = 0; k < kBlock; ++k) {
          tile[engine::packed_index<Bf16>(n, k)] =
              from[engine::packed_index<Bf16>(k, n)];
        }
      }
    }
  }

  int64_t out_ = 0, in_ = 0, depth_ = 0;
  engine::Aligned<Bf16> packed_;
};

// Rows in whole numbers, as products take them.
struct CodedRows {
  at::Tensor codes;   // [rows, depth] uint8
  at::Tensor scales;  // [rows] float32
};

template <typename T>
void code_rows(const at::Tensor& x, const CodedRows& to) {
  const int64_t depth = x.size(1);
  const T* values = engine::elements<T>(x);
  auto* codes = to.codes.mutable_data_ptr<uint8_t>();
  auto* scales = to.scales.mutable_data_ptr<float>();
  const auto quantize = engine::kernels().of<T>().quantize;
  at::parallel_for(0, x.size(0), 16, [&](int64_t begin, int64_t end) {
    engine::Aligned<float> rotated(static_cast<size_t>(depth));
    for (int64_t row = begin; row < end; ++row) {
      scales[row] = quantize(values + row * depth, depth, rotated.data(),
                             codes + row * depth);
    }
  });
}

// One side of a product of whole numbers: a matrix [out, in] for x W^T.
class CodedSide {
 public:
  static constexpr int64_t kPanel = 2;

  CodedSide() = default;
  explicit CodedSide(const at::Tensor& matrix)
      : depth_(engine::round_up(matrix.size(1), kBlock)),
        num_blocks_(engine::round_up(matrix.size(0), kBlock) / kBlock),
        codes_(num_blocks_, depth_) {
    const int64_t out = matrix.size(0), in = matrix.size(1);
    const at::Tensor rows = matrix.to(at::kFloat).contiguous();
    const auto* values = engine::elements<float>(rows);
    each_part(num_blocks_, kPanel, 1, 1, [&](const Part& part) {
      const int64_t first = part.block * kBlock;
      codes_.set(first, values + first * in,
                 std::min(part.num_blocks * kBlock, out - first), in);
    });
  }

  void run(const CodedRows& x, const Sums& to) const {
    each_part(
        num_blocks_, kPanel, x.codes.size(0), kRunRows, [&](const Part& part) {
          engine::CodeGemmArgs<float> args;
          set_place(to, part, args);
          args.depth = depth_;
          args.codes = x.codes.const_data_ptr<uint8_t>() + part.row * depth_;
          args.row_scales = x.scales.const_data_ptr<float>() + part.row;
          codes_.give(args);
          engine::kernels().f32.code_gemm(args);
        });
  }

 private:
  int64_t depth_ = 0, num_blocks_ = 0;
  engine::PackedInt8 codes_;
};

// A matrix in whole numbers.
class CodedMatrix {
 public:
  using Rows = CodedRows;

  CodedMatrix() = default;
  explicit CodedMatrix(const at::Tensor& matrix)
      : out_(matrix.size(0)),
        in_(matrix.size(1)),
        forward_(matrix),
        backward_(matrix.t()) {}

  int64_t out() const { return out_; }
  int64_t in() const { return in_; }

  static Rows rows(const at::Tensor& x) {
    const at::Tensor whole = in_whole_blocks(x);
    Rows rows = {at::empty(whole.sizes(), at::kByte),
                 at::empty({x.size(0)}, at::kFloat)};
    if (x.scalar_type() == at::kBFloat16) {
      code_rows<Bf16>(whole, rows);
    } else {
      code_rows<float>(whole, rows);
    }
    return rows;
  }

  void forward(const Rows& x, const Sums& to) const { forward_.run(x, to); }
  void backward(const Rows& gradient, const Sums& to) const {
    backward_.run(gradient, to);
  }

 private:
  int64_t out_ = 0, in_ = 0;
  CodedSide forward_, backward_;
};

// Gradients of products of one x, to x.
template <typename Matrix>
class ProductsBackward : public torch::autograd::Node {
 public:
  ProductsBackward(std::vector<const Matrix*> matrices, const at::Tensor& x)
      : Node(torch::autograd::collect_next_edges(x)),
        matrices_(std::move(matrices)),
        dtype_(x.scalar_type()) {}

  std::string name() const override { return "FrozenProductsBackward"; }

  torch::autograd::variable_list apply(
      torch::autograd::variable_list&& gradients) override {
    Sums sums;
    for (size_t i = 0; i < gradients.size(); ++i) {
      const at::Tensor& gradient = gradients[i];
      if (!gradient.defined()) continue;
      sums.accumulate = sums.values.defined();
      if (!sums.accumulate) {
        sums.values =
            at::empty({gradient.size(0), matrices_[i]->in()}, at::kFloat);
      }
      matrices_[i]->backward(Matrix::rows(gradient), sums);
    }
    if (!sums.values.defined()) return {at::Tensor()};
    return {sums.values.to(dtype_)};
  }

 private:
  const std::vector<const Matrix*> matrices_;
  const at::ScalarType dtype_;
};

template <typename Matrix>
class FrozenSource : public model::WeightSource {
 public:
  explicit FrozenSource(const model::Weights& weights)
      : embedding_(weights.embedding_values()) {
    if (!weights.config.tied_embeddings) head_ = weights.head_values();
    for (int64_t i = 0; i < weights.config.num_layers; ++i) {
      auto& layer = layers_.emplace_back();
      for (size_t j = 0; j < formats::kNumProjections; ++j) {
        const at::Tensor matrix = weights.projection(i, Projection(j));
        if (matrix.defined()) layer[j] = Matrix(matrix);
      }
    }
  }

  at::Tensor projection(int64_t /*layer*/,
                        Projection /*which*/) const override {
    SELFALIGN_CHECK(false, "a frozen base keeps no values of its matrices");
  }
  at::Tensor embedding() const override { return embedding_; }
  at::Tensor head() const override { return head_; }

  bool multiplies() const override { return true; }
  std::vector<at::Tensor> multiply(int64_t layer,
                                   const std::vector<Projection>& which,
                                   const at::Tensor& x) const override {
    std::vector<const Matrix*> matrices;
    std::vector<at::Tensor> products;
    const typename Matrix::Rows rows = Matrix::rows(x.detach());
    for (Projection one : which) {
      const Matrix& matrix = layers_[size_t(layer)][size_t(one)];
      matrices.push_back(&matrix);
      const Sums sums = {at::empty({x.size(0), matrix.out()}, at::kFloat)};
      matrix.forward(rows, sums);
      products.push_back(sums.values.to(x.scalar_type()));
    }
    if (at::GradMode::is_enabled() && x.requires_grad()) {
      torch::autograd::set_history(
          products, std::make_shared<ProductsBackward<Matrix>>(matrices, x));
    }
    return products;
  }

 private:
  at::Tensor embedding_, head_;
  std::vector<std::array<Matrix, formats::kNumProjections>> layers_;
};

template <typename Matrix>
model::Weights with_source(const model::Weights& weights) {
  model::Weights base = weights;
  base.adapters.clear();
  base.source = std::make_shared<FrozenSource<Matrix>>(weights);
  for (model::LayerWeights& layer : base.layers) {
    for (const auto of : model::kProjections) {
      at::Tensor& matrix = layer.*of;
      if (!matrix.defined()) continue;
      matrix = at::empty(matrix.sizes(), matrix.options().device(at::kMeta));
    }
  }
  base.embedding = base.source->embedding();
  base.head =
      weights.config.tied_embeddings ? base.embedding : base.source->head();
  return base;
}

}  // namespace

model::Weights frozen_base(const model::Weights& weights) {
  using model::Rounding;
  if (!weights.device().is_cpu()) return model::held_weights(weights);
  if (weights.rounding == Rounding::kW8a8) {
    return with_source<CodedMatrix>(weights);
  }
  // ATen's products are by AMX where there is some.
  if (weights.rounding == Rounding::kNone && weights.dtype() == at::kBFloat16 &&
      engine::kernels().name != std::string_view("amx")) {
    return with_source<PackedMatrix>(weights);
  }
  return model::held_weights(weights);
}

}  // namespace selfalign::train
