// SPDX-License-Identifier: Apache-2.0
#include "train/frozen_base.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/load_weights.h"

namespace selfalign::train {
namespace {

using formats::Projection;

at::Tensor random(int64_t rows, int64_t columns, uint64_t seed) {
  at::Tensor x = at::empty({rows, columns}, at::kFloat);
  return x.normal_(0.0, 1.0, at::detail::createCPUGenerator(seed));
}

double distance(const at::Tensor& found, const at::Tensor& wanted) {
  const at::Tensor exact = wanted.to(at::kDouble);
  return at::sub(found.to(at::kDouble), exact).norm().item<double>() /
         exact.norm().item<double>();
}

using model::Rounding;

// The tiny model, with matrices whose sides are in no whole blocks.
model::Weights odd_weights(Rounding rounding, at::ScalarType dtype) {
  model::Weights weights =
      model::load_weights("tests/data/tiny_llama", at::kCPU, dtype);
  weights.rounding = rounding;
  model::LayerWeights& layer = weights.layers[0];
  layer.q = random(83, 75, 1).to(dtype);
  layer.k = random(20, 75, 2).to(dtype);
  layer.v = at::mul(random(21, 75, 3), 30.0).to(dtype);
  return weights;
}

struct Base {
  Rounding rounding;
  at::ScalarType dtype;
  // A part in 127 of the largest number is lost, or one in 256 of each.
  double error() const { return rounding == Rounding::kW8a8 ? 0.015 : 0.004; }
};

class FrozenBase : public testing::TestWithParam<Base> {};

TEST_P(FrozenBase, ProductsAndGradientsAreNearTheMatrices) {
  const auto [rounding, dtype] = GetParam();
  const model::Weights weights = odd_weights(rounding, dtype);
  const model::Weights base = frozen_base(weights);
  const model::LayerWeights& layer = weights.layers[0];
  const std::vector<at::Tensor> matrices = {
      layer.q.to(at::kFloat), layer.k.to(at::kFloat), layer.v.to(at::kFloat)};
  const at::Tensor x = random(300, 75, 4).to(dtype).set_requires_grad(true);
  const std::vector<at::Tensor> products = base.source->multiply(
      0, {Projection::kQ, Projection::kK, Projection::kV}, x);
  ASSERT_EQ(products.size(), 3u);
  at::Tensor gradient = at::zeros({300, 75}, at::kFloat);
  at::Tensor loss = at::zeros({}, at::kFloat);
  for (size_t i = 0; i < products.size(); ++i) {
    const at::Tensor values = x.detach().to(at::kFloat);
    EXPECT_EQ(products[i].scalar_type(), dtype);
    EXPECT_LT(distance(products[i].detach(), at::mm(values, matrices[i].t())),
              GetParam().error());
    const at::Tensor by =
        random(300, matrices[i].size(0), 5 + i).to(dtype).to(at::kFloat);
    gradient.add_(at::mm(by, matrices[i]));
    loss = at::add(loss, at::mul(products[i].to(at::kFloat), by).sum());
  }
  loss.backward();
  EXPECT_EQ(x.grad().scalar_type(), dtype);
  EXPECT_LT(distance(x.grad(), gradient), GetParam().error());
}

// Of products that the loss does not depend on comes no gradient.
TEST_P(FrozenBase, GradientIsOfTheProductsThatAreUsed) {
  const auto [rounding, dtype] = GetParam();
  const model::Weights weights = odd_weights(rounding, dtype);
  const model::Weights base = frozen_base(weights);
  const at::Tensor x = random(9, 75, 4).to(dtype).set_requires_grad(true);
  const std::vector<at::Tensor> products =
      base.source->multiply(0, {Projection::kQ, Projection::kK}, x);
  products[1].sum().backward();
  const at::Tensor wanted =
      at::mm(at::ones({9, 20}, at::kFloat), weights.layers[0].k.to(at::kFloat));
  EXPECT_LT(distance(x.grad(), wanted), GetParam().error());
}

TEST_P(FrozenBase, HoldsNoMatrixAndMakesNoGraphWhereNoneIsWanted) {
  const auto [rounding, dtype] = GetParam();
  const model::Weights base = frozen_base(odd_weights(rounding, dtype));
  EXPECT_TRUE(base.layers[1].q.is_meta());
  EXPECT_TRUE(base.layer(1).down.is_meta());
  EXPECT_TRUE(base.keeps_layers());
  const at::NoGradGuard no_graph;
  const at::Tensor x = random(9, 75, 4).to(dtype).set_requires_grad(true);
  EXPECT_FALSE(
      base.source->multiply(0, {Projection::kK}, x)[0].requires_grad());
}

INSTANTIATE_TEST_SUITE_P(All, FrozenBase,
                         testing::Values(Base{Rounding::kW8a8, at::kFloat},
                                         Base{Rounding::kW8a8, at::kBFloat16},
                                         Base{Rounding::kNone, at::kBFloat16}));

// ATen's products of float32 are as fast; int8 and int4 are codes alone.
TEST(FrozenBaseOf, OtherTypesIsAsElsewhere) {
  EXPECT_TRUE(frozen_base(odd_weights(Rounding::kNone, at::kFloat)).is_held());
  const model::Weights int4 =
      frozen_base(odd_weights(Rounding::kInt4, at::kFloat));
  EXPECT_FALSE(int4.is_held());
  EXPECT_FALSE(int4.source->multiplies());
}

}  // namespace
}  // namespace selfalign::train
