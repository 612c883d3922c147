// SPDX-License-Identifier: Apache-2.0
#include "train/fused.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "engine/kernels.h"
#include "engine/packed_linear.h"

namespace selfalign::train {
namespace {

using engine::Bf16;
using engine::elements;
using torch::autograd::variable_list;

// Elements that a thread is worth waking for.
constexpr int64_t kGrain = 16384;

bool is_fused(const at::Tensor& x) {
  return x.is_cpu() && x.numel() > 0 &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

template <typename T>
T* writable(at::Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

// work(T(), first row, the row behind the last) for all rows of x's last
// dimension, T being its elements' type.
template <typename Work>
void each_row(const at::Tensor& x, const Work& work) {
  const int64_t n = x.size(-1), rows = x.numel() / n;
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / n),
                   [&](int64_t begin, int64_t end) {
                     if (x.scalar_type() == at::kBFloat16) {
                       work(Bf16{0}, begin, end);
                     } else {
                       work(0.0f, begin, end);
                     }
                   });
}

bool needs_gradient(const at::Tensor& x) {
  return at::GradMode::is_enabled() && x.requires_grad();
}

class NormBackward : public torch::autograd::Node {
 public:
  NormBackward(const at::Tensor& x, const at::Tensor& weight,
               at::Tensor factors)
      : Node(torch::autograd::collect_next_edges(x, weight)),
        x_(x.detach()),
        weight_(weight.detach()),
        factors_(std::move(factors)) {}

  std::string name() const override { return "FusedNormBackward"; }
  void release_variables() override { x_.reset(), factors_.reset(); }

  variable_list apply(variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor(), at::Tensor()};
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor out = at::empty_like(x_), to_weight;
    const int64_t n = x_.size(-1);
    const auto* weight = weight_.const_data_ptr<float>();
    const auto* factors = factors_.const_data_ptr<float>();
    each_row(x_, [&](auto type, int64_t begin, int64_t end) {
      using T = decltype(type);
      const auto& set = engine::kernels().training<T>();
      for (int64_t row = begin; row < end; ++row) {
        set.norm_backward(elements<T>(x_) + row * n, weight,
                          elements<T>(gradient) + row * n, n, factors[row],
                          writable<T>(out) + row * n);
      }
    });
    if (task_should_compute_output(1)) {
      const at::Tensor normed =
          at::mul(x_.view({-1, n}).to(at::kFloat), factors_.unsqueeze(1));
      to_weight = at::mul(gradient.view({-1, n}), normed).sum(0);
    }
    return {out, to_weight};
  }

 private:
  at::Tensor x_, weight_, factors_;
};

class RotateBackward : public torch::autograd::Node {
 public:
  RotateBackward(const at::Tensor& x, at::Tensor cos, at::Tensor sin)
      : Node(torch::autograd::collect_next_edges(x)),
        cos_(std::move(cos)),
        sin_(std::move(sin)) {}

  std::string name() const override { return "FusedRotateBackward"; }

  // x [tokens, heads, head_dim].
  static at::Tensor turn(const at::Tensor& x, const at::Tensor& cos,
                         const at::Tensor& sin, bool is_backward) {
    const at::Tensor from = x.contiguous();
    at::Tensor out = at::empty_like(from);
    const int64_t n = x.size(2), heads = x.size(1), turned = cos.size(-1);
    const auto* all_cos = cos.const_data_ptr<float>();
    const auto* all_sin = sin.const_data_ptr<float>();
    each_row(from, [&](auto type, int64_t begin, int64_t end) {
      using T = decltype(type);
      const auto rotate = engine::kernels().training<T>().rotate;
      for (int64_t row = begin; row < end; ++row) {
        const T* one = elements<T>(from) + row * n;
        T* to = writable<T>(out) + row * n;
        const int64_t at = row / heads * turned;
        rotate(one, all_cos + at, all_sin + at, turned, is_backward, to);
        std::copy(one + turned, one + n, to + turned);
      }
    });
    return out;
  }

  variable_list apply(variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    return {turn(gradients[0], cos_, sin_, true)};
  }

 private:
  const at::Tensor cos_, sin_;
};

class GateBackward : public torch::autograd::Node {
 public:
  GateBackward(const at::Tensor& gate, const at::Tensor& up)
      : Node(torch::autograd::collect_next_edges(gate, up)),
        gate_(gate.detach()),
        up_(up.detach()) {}

  std::string name() const override { return "FusedGateBackward"; }
  void release_variables() override { gate_.reset(), up_.reset(); }

  variable_list apply(variable_list&& gradients) override {
    if (!gradients[0].defined()) return {at::Tensor(), at::Tensor()};
    const at::Tensor gradient = gradients[0].contiguous();
    at::Tensor to_gate = at::empty_like(gate_), to_up = at::empty_like(up_);
    const int64_t n = gate_.size(-1);
    each_row(gate_, [&](auto type, int64_t begin, int64_t end) {
      using T = decltype(type);
      const int64_t at = begin * n;
      engine::kernels().training<T>().gate_backward(
          elements<T>(gate_) + at, elements<T>(up_) + at,
          elements<T>(gradient) + at, (end - begin) * n,
          writable<T>(to_gate) + at, writable<T>(to_up) + at);
    });
    return {to_gate, to_up};
  }

 private:
  at::Tensor gate_, up_;
};

}  // namespace

at::Tensor FusedOperators::rms_norm(const at::Tensor& x,
                                    const at::Tensor& weight,
                                    double eps) const {
  if (!is_fused(x)) return Operators::rms_norm(x, weight, eps);
  const at::Tensor from = x.contiguous();
  const at::Tensor scale = weight.to(at::kFloat).contiguous();
  const int64_t n = x.size(-1);
  at::Tensor out = at::empty_like(from);
  at::Tensor factors = at::empty({x.numel() / n}, at::kFloat);
  auto* factor = writable<float>(factors);
  each_row(from, [&](auto type, int64_t begin, int64_t end) {
    using T = decltype(type);
    const auto& set = engine::kernels().training<T>();
    for (int64_t row = begin; row < end; ++row) {
      factor[row] =
          set.norm(elements<T>(from) + row * n, scale.const_data_ptr<float>(),
                   n, float(eps), writable<T>(out) + row * n);
    }
  });
  if (needs_gradient(from) || needs_gradient(scale)) {
    torch::autograd::set_history(
        out, std::make_shared<NormBackward>(from, scale, factors));
  }
  return out;
}

at::Tensor FusedOperators::rotate(const at::Tensor& x, const at::Tensor& cos,
                                  const at::Tensor& sin) const {
  if (!is_fused(x)) return Operators::rotate(x, cos, sin);
  at::Tensor out = RotateBackward::turn(x.detach(), cos, sin, false);
  if (needs_gradient(x)) {
    torch::autograd::set_history(out,
                                 std::make_shared<RotateBackward>(x, cos, sin));
  }
  return out;
}

at::Tensor FusedOperators::gate(formats::Activation activation,
                                const at::Tensor& gate,
                                const at::Tensor& up) const {
  if (!is_fused(gate) || activation != formats::Activation::kSilu) {
    return Operators::gate(activation, gate, up);
  }
  const at::Tensor left = gate.contiguous(), right = up.contiguous();
  at::Tensor out = at::empty_like(left);
  const int64_t n = gate.size(-1);
  each_row(left, [&](auto type, int64_t begin, int64_t end) {
    using T = decltype(type);
    const int64_t at = begin * n;
    engine::kernels().training<T>().gate(
        elements<T>(left) + at, elements<T>(right) + at, (end - begin) * n,
        writable<T>(out) + at);
  });
  if (needs_gradient(left) || needs_gradient(right)) {
    torch::autograd::set_history(out,
                                 std::make_shared<GateBackward>(left, right));
  }
  return out;
}

}  // namespace selfalign::train
