// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "train/trainer.h"

namespace selfalign::train {
namespace {

TEST(Schedule, LogarithmicWarmUpThenLinearDecay) {
  TrainOptions options;
  options.learning_rate = 4e-4;
  options.warmup_steps = 100;
  const auto expect = [&](int64_t step, int64_t num_steps, double share) {
    EXPECT_NEAR(learning_rate_at(options, step, num_steps), 4e-4 * share, 1e-12)
        << step << " of " << num_steps;
  };
  // log(i + 1) / log(100), to ten places.
  expect(0, 300, 0.0);
  expect(1, 300, 0.1505149978);
  expect(2, 300, 0.2385606274);
  expect(9, 300, 0.5);
  expect(50, 300, 0.8537850880);
  expect(98, 300, 0.9978175973);
  expect(99, 300, 1.0);
  expect(100, 300, 1.0);
  expect(101, 300, 0.995);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 200, 300), 2e-4);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 299, 300), 4e-4 / 200);
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 300, 300), 0.0);
  // A training that ends in its warm-up, or with it.
  expect(0, 50, 0.0);
  expect(49, 50, 0.8494850022);
  expect(99, 100, 1.0);
  expect(100, 101, 1.0);
  options.warmup_steps = 2;
  expect(0, 10, 0.0);
  expect(1, 10, 1.0);
  expect(2, 10, 1.0);
  expect(6, 10, 0.5);
  expect(9, 10, 0.125);
  options.warmup_steps = 1;  // counts as two
  expect(0, 10, 0.0);
  expect(1, 10, 1.0);
  expect(6, 10, 0.5);
  expect(0, 1, 0.0);
  options.warmup_steps = 0;  // none
  expect(0, 10, 1.0);
  expect(5, 10, 0.5);
  expect(0, 1, 1.0);
}

// Two steps worked out by hand from the algorithm.
TEST(AdamW, FollowsTheAlgorithm) {
  TrainOptions options;
  options.weight_decay = 0.1;
  const at::Tensor values = at::full({1}, 2.0, at::kFloat);
  AdamW adam(options, values, values.numel());
  double p = 2.0, m = 0.0, v = 0.0;
  for (int t = 1; t <= 2; ++t) {
    const double g = t == 1 ? 0.5 : -0.25, rate = 0.1;
    p -= rate * 0.1 * p;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    p -= rate * (m / (1 - std::pow(0.9, t))) /
         (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
    adam.step(values, at::full({1}, g, at::kFloat), rate);
    EXPECT_NEAR(values.item<double>(), p, 1e-6);
  }
}

TEST(ClipGradients, ScalesToTheLimitOnlyWhenOver) {
  const at::Tensor g = at::tensor(std::vector<float>{3.0f, 4.0f});
  EXPECT_NEAR(clip_gradients(g, 0.0), 5.0, 1e-6);
  EXPECT_NEAR(clip_gradients(g, 10.0), 5.0, 1e-6);
  EXPECT_NEAR(clip_gradients(g, 1.0), 5.0, 1e-6);
  EXPECT_NEAR(clip_gradients(g, 1.0), 1.0, 1e-5);
}

TEST(LoraParameters, StartAtTheBaseModelAndLieInOneVector) {
  formats::ModelConfig config;
  config.num_layers = 2;
  config.hidden_size = 24;
  config.num_heads = 3;
  config.num_kv_heads = 1;
  config.head_dim = 6;
  TrainOptions options;
  options.rank = 3;
  options.alpha = 6.0;
  options.seed = 5;
  const model::Lora initial = init_lora(config, options);
  EXPECT_DOUBLE_EQ(initial.layers[0].q.scale, 2.0);
  EXPECT_EQ(initial.layers[1].k.b.sizes().vec(), (std::vector<int64_t>{6, 3}));
  EXPECT_EQ(initial.layers[1].o.a.sizes().vec(), (std::vector<int64_t>{3, 18}));
  EXPECT_EQ(initial.layers[0].q.b.abs().max().item<double>(), 0.0);
  const double bound = 1.0 / std::sqrt(24.0);
  const double largest = initial.layers[0].q.a.abs().max().item<double>();
  EXPECT_LE(largest, bound);
  EXPECT_GE(largest, 0.8 * bound);
  EXPECT_FALSE(initial.layers[0].q.a.equal(initial.layers[0].k.a));
  EXPECT_TRUE(
      initial.layers[0].q.a.equal(init_lora(config, options).layers[0].q.a));

  model::Weights base;
  base.embedding = at::zeros({1, 24}, at::kFloat);
  const LoraParameters parameters(base, initial);
  const at::Tensor& a = parameters.lora()->layers[1].v.a;
  EXPECT_TRUE(a.equal(initial.layers[1].v.a));
  parameters.values().fill_(1.5);
  EXPECT_EQ(a.min().item<double>(), 1.5);
  // A gradient lands in the common vector, and a second one is added to it.
  a.sum().backward();
  a.sum().backward();
  EXPECT_EQ(parameters.gradients().sum().item<double>(), 2.0 * a.numel());
}

}  // namespace
}  // namespace selfalign::train
