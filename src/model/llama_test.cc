#include "model/llama.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "model/device.h"

namespace selfalign::model {
namespace {

constexpr char kTiny[] = "tests/data/tiny_llama";

at::Tensor positions_of(int64_t tokens) { return at::arange(tokens); }

at::Tensor run(const Weights& weights, const std::vector<int64_t>& ids,
               const Lora* lora = nullptr) {
  const c10::InferenceMode mode;
  CausalAttention attention;
  const Rope rope = make_rope(weights.config, 64, at::kCPU);
  return logits(
      weights,
      hidden_states(weights, rope, at::tensor(ids, at::kLong),
                    positions_of(int64_t(ids.size())), attention, lora));
}

Lora random_lora(const Weights& weights, int64_t rank) {
  Lora lora;
  lora.scale = 0.5;
  for (const LayerWeights& layer : weights.layers) {
    LoraLayer pairs;
    for (auto [pair, weight] :
         {std::pair(&pairs.q, &layer.q), std::pair(&pairs.k, &layer.k),
          std::pair(&pairs.v, &layer.v), std::pair(&pairs.o, &layer.o)}) {
      pair->a = at::randn({rank, weight->size(1)}) * 0.1;
      pair->b = at::randn({weight->size(0), rank}) * 0.1;
    }
    lora.layers.push_back(pairs);
  }
  return lora;
}

// The reference is transformers' LlamaForCausalLM (tools/make_golden_train.py).
TEST(LlamaGolden, LogitsEqualTheReference) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const std::string path = std::string(kTiny) + "/golden.json";
  const Json golden = parse_json(read_file(path), path);
  ASSERT_GE(golden.at("ids").size(), 2u);
  for (size_t s = 0; s < golden.at("ids").size(); ++s) {
    const auto ids = golden.at("ids")[s].get<std::vector<int64_t>>();
    const auto rows =
        golden.at("logits")[s].get<std::vector<std::vector<float>>>();
    const at::Tensor out = run(weights, ids);
    ASSERT_EQ(out.size(0), int64_t(rows.size()));
    for (size_t t = 0; t < rows.size(); ++t) {
      const at::Tensor want = at::tensor(rows[t], at::kFloat);
      EXPECT_LT((out[t] - want).abs().max().item().toFloat(), 1e-4f)
          << "sequence " << s << ", token " << t;
    }
  }
}

TEST(Llama, PackedTextsDoNotSeeEachOther) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const std::vector<int64_t> a = {5, 9, 11, 3}, b = {7, 8, 250, 1, 2, 6};
  std::vector<int64_t> ids = a;
  ids.insert(ids.end(), b.begin(), b.end());
  const c10::InferenceMode mode;
  CausalAttention attention({4, 6});
  const Rope rope = make_rope(weights.config, 16, at::kCPU);
  const at::Tensor packed =
      logits(weights, hidden_states(weights, rope, at::tensor(ids, at::kLong),
                                    at::cat({positions_of(4), positions_of(6)}),
                                    attention));
  EXPECT_TRUE(at::allclose(packed.slice(0, 0, 4), run(weights, a), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(packed.slice(0, 4), run(weights, b), 1e-4, 1e-5));
}

TEST(Lora, MergedEqualsBeside) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const Lora lora = random_lora(weights, 4);
  const std::vector<int64_t> ids = {1, 2, 3, 99, 42};
  Weights merged = weights;
  merge_lora(merged, lora);
  const at::Tensor beside = run(weights, ids, &lora);
  EXPECT_TRUE(at::allclose(run(merged, ids), beside, 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(run(weights, ids), beside, 1e-4, 1e-5));
  EXPECT_NE(merged.digest, weights.digest);
}

TEST(Lora, SavedAdapterLoadsAgain) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const Lora lora = random_lora(weights, 4);
  const std::string folder = testing::TempDir() + "/adapter";
  save_lora(folder, lora, 2.0, 0.0, "tiny");
  const Lora loaded = load_lora(folder, weights.config, at::kCPU);
  EXPECT_DOUBLE_EQ(loaded.scale, 0.5);
  EXPECT_EQ(lora_digest(loaded), lora_digest(lora));
  EXPECT_TRUE(at::equal(loaded.layers[1].v.b, lora.layers[1].v.b));
}

TEST(Lora, AdapterOfAnotherModelIsRefused) {
  const Weights weights = load_weights(kTiny, at::kCPU, at::kFloat);
  const std::string folder = testing::TempDir() + "/other_adapter";
  save_lora(folder, random_lora(weights, 4), 4.0, 0.0, "tiny");
  formats::ModelConfig other = weights.config;
  other.hidden_size *= 2;
  EXPECT_THROW(load_lora(folder, other, at::kCPU), Error);
}

TEST(Device, ChoosesAndRefuses) {
  EXPECT_EQ(choose_compute("cpu", "float32").dtype, at::kFloat);
  EXPECT_EQ(choose_compute("cpu", "bfloat16").dtype, at::kBFloat16);
  EXPECT_THROW(choose_compute("tpu", "auto"), Error);
  EXPECT_THROW(choose_compute("cpu", "int4"), Error);
}

}  // namespace
}  // namespace selfalign::model
