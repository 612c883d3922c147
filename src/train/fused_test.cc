// SPDX-License-Identifier: Apache-2.0
// The operators of a training against ATen's, forward and backward.
#include "train/fused.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <functional>

namespace selfalign::train {
namespace {

using Tensors = std::vector<at::Tensor>;

at::Tensor random(const std::vector<int64_t>& shape, uint64_t seed) {
  at::Tensor x = at::empty(shape, at::kFloat);
  return x.normal_(0.0, 1.0, at::detail::createCPUGenerator(seed));
}

// The operator's result and its gradients to `inputs`, the loss being a
// weighted sum.
Tensors with_gradients(const std::function<at::Tensor(const Tensors&)>& run,
                       const Tensors& inputs, at::ScalarType dtype) {
  Tensors leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.to(dtype).detach().set_requires_grad(true));
  }
  const at::Tensor y = run(leaves);
  Tensors out = {y.detach()};
  y.backward(random(y.sizes().vec(), 99).to(dtype));
  for (const at::Tensor& leaf : leaves) out.push_back(leaf.grad());
  return out;
}

// `run` with the operators given, by both, in both types. ATen's are in float32
// throughout, so that only the fused one's rounding counts.
void expect_same(const Tensors& inputs,
                 const std::function<at::Tensor(const model::Operators&,
                                                const Tensors&)>& run) {
  const model::Operators plain;
  const FusedOperators fused;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Tensors rounded;
    for (const at::Tensor& x : inputs) {
      rounded.push_back(x.to(dtype).to(at::kFloat));
    }
    const auto by = [&](const model::Operators& operators) {
      return [&](const Tensors& x) { return run(operators, x); };
    };
    const Tensors wanted = with_gradients(by(plain), rounded, at::kFloat);
    const Tensors found = with_gradients(by(fused), inputs, dtype);
    const double error = dtype == at::kFloat ? 1e-5 : 2e-2;
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(found[i].scalar_type(), dtype);
      EXPECT_EQ(found[i].sizes(), wanted[i].sizes());
      const at::Tensor difference = at::sub(found[i].to(at::kFloat), wanted[i]);
      EXPECT_LT(at::div(difference.abs(), wanted[i].abs().add(1.0))
                    .max()
                    .item<double>(),
                error)
          << at::toString(dtype) << " " << i;
    }
  }
}

TEST(FusedOperators, NormIsAtensWithItsGradient) {
  const at::Tensor weight = random({40}, 1);
  const auto norm = [&](const model::Operators& operators, const Tensors& x) {
    return operators.rms_norm(x[0], weight, 1e-5);
  };
  expect_same({random({70, 40}, 2)}, norm);
  expect_same({random({7, 3, 40}, 3)}, norm);  // of queries, by head
  // Not contiguous.
  expect_same({random({40, 9}, 4)},
              [&](const model::Operators& operators, const Tensors& x) {
                return operators.rms_norm(x[0].t(), weight, 1e-5);
              });
}

TEST(FusedOperators, ATrainedNormGetsItsGradient) {
  expect_same({random({70, 40}, 1), random({40}, 2)},
              [&](const model::Operators& operators, const Tensors& x) {
                return operators.rms_norm(x[0], x[1], 1e-5);
              });
}

TEST(FusedOperators, RotationIsAtensWithItsGradient) {
  for (const int64_t turned : {24, 10}) {  // of 24: all, or the first
    const at::Tensor angles = random({70, 1, turned / 2}, 5);
    const at::Tensor both = at::cat({angles, angles}, -1);
    expect_same({random({70, 3, 24}, 6)},
                [&](const model::Operators& operators, const Tensors& x) {
                  return operators.rotate(x[0], both.cos(), both.sin());
                });
  }
}

TEST(FusedOperators, GatesAreAtensWithTheirGradients) {
  for (const formats::Activation kind :
       {formats::Activation::kSilu, formats::Activation::kGeluTanh}) {
    expect_same({random({70, 40}, 7), random({70, 40}, 8)},
                [&](const model::Operators& operators, const Tensors& x) {
                  return operators.gate(kind, x[0], x[1]);
                });
  }
}

TEST(FusedOperators, MakeNoGraphWhereNoneIsWanted) {
  const FusedOperators fused;
  const at::NoGradGuard no_graph;
  const at::Tensor x = random({7, 40}, 9).set_requires_grad(true);
  EXPECT_FALSE(fused.gate(formats::Activation::kSilu, x, x).requires_grad());
}

}  // namespace
}  // namespace selfalign::train
