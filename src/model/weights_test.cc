// SPDX-License-Identifier: Apache-2.0
// Weights that stay in their file against those in memory.
#include "model/weights.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>

#include "base/testing.h"
#include "model/load_weights.h"
#include "model/rounding.h"

namespace selfalign::model {
namespace {

using formats::Projection;

constexpr char kTiny[] = "tests/data/tiny_llama";

void expect_same(const Weights& a, const Weights& b) {
  EXPECT_EQ(a.digest, b.digest);
  for (int64_t i = 0; i < a.config.num_layers; ++i) {
    for (size_t j = 0; j < formats::kNumProjections; ++j) {
      EXPECT_TRUE(at::equal(a.projection(i, Projection(j)),
                            b.projection(i, Projection(j))))
          << i << ' ' << j;
    }
    EXPECT_TRUE(at::equal(a.layers[size_t(i)].mlp_norm.weight,
                          b.layers[size_t(i)].mlp_norm.weight));
  }
  EXPECT_TRUE(at::equal(a.embedding_values(), b.embedding_values()));
  EXPECT_TRUE(at::equal(a.head_values(), b.head_values()));
}

Lora some_lora(const Weights& weights) {
  Lora lora;
  lora.layers.resize(weights.layers.size());
  const at::Tensor& up = weights.layers[1].up;
  lora.layers[1].up = {at::full({2, up.size(1)}, 0.1),
                       at::full({up.size(0), 2}, 0.2), 1.5};
  return lora;
}

TEST(OpenedWeights, AreThoseInMemory) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Weights held = load_weights(kTiny, at::kCPU, dtype);
    const Weights opened = open_weights(kTiny, dtype);
    EXPECT_TRUE(held.is_held());
    EXPECT_FALSE(opened.is_held());
    EXPECT_EQ(opened.device(), at::Device(at::kCPU));
    EXPECT_TRUE(opened.layers[0].q.is_meta());  // nothing of it in memory
    expect_same(opened, held);
    const Weights back = held_weights(opened);
    EXPECT_TRUE(back.is_held());
    EXPECT_FALSE(back.layers[0].q.is_meta());
    expect_same(back, held);
  }
}

TEST(OpenedWeights, TakeAdaptersAsThoseInMemoryDo) {
  Weights held = load_weights(kTiny, at::kCPU, at::kBFloat16);
  Weights opened = open_weights(kTiny, at::kBFloat16);
  const Weights before = opened;
  const Lora lora = some_lora(held);
  for (int times = 0; times < 2; ++times) {
    merge_lora(held, lora);
    merge_lora(opened, lora);
  }
  expect_same(opened, held);
  expect_same(held_weights(opened), held);
  // What it changes is another matrix, the rest the same, by which packed
  // weights are shared.
  EXPECT_FALSE(opened.layers[1].up.is_same(before.layers[1].up));
  EXPECT_TRUE(opened.layers[1].down.is_same(before.layers[1].down));
  EXPECT_FALSE(at::equal(opened.projection(1, Projection::kUp),
                         before.projection(1, Projection::kUp)));
}

TEST(OpenedWeights, RoundedAreHeldInCodes) {
  const Weights opened = open_weights(kTiny, at::kFloat, Rounding::kInt4);
  const Weights held = held_weights(opened);
  EXPECT_FALSE(held.is_held());
  for (int64_t i = 0; i < held.config.num_layers; ++i) {
    for (size_t j = 0; j < formats::kNumProjections; ++j) {
      const at::Tensor full = opened.projection(i, Projection(j));
      const at::Tensor codes = held.projection(i, Projection(j));
      EXPECT_TRUE(at::equal(
          codes, RoundedMatrix(full, Rounding::kInt4).values(at::kFloat)));
      EXPECT_FALSE(at::equal(codes, full));
    }
  }
  EXPECT_TRUE(at::equal(held.embedding, opened.embedding_values()));
}

// What trains on matrices gets w8a8's in full.
TEST(OpenedWeights, ThoseOfWholeNumbersAreHeldInFull) {
  const Weights held =
      held_weights(open_weights(kTiny, at::kFloat, Rounding::kW8a8));
  EXPECT_EQ(held.rounding, Rounding::kNone);
  expect_same(held, load_weights(kTiny, at::kCPU, at::kFloat));
}

}  // namespace
}  // namespace selfalign::model
