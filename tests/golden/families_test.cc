// SPDX-License-Identifier: Apache-2.0
// Tiny models of every family against transformers (tests/data/families, made
// by tools/make_golden_families.py): read from a folder as people have it, then
// computed in one pass, by the CPU kernels with and without a shared prefix,
// by the decoder of other devices, and as packed training samples.
#include "families.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "engine/aten_decoder.h"
#include "engine/cpu_decoder.h"
#include "engine/testing.h"
#include "formats/safetensors.h"
#include "model/load_weights.h"
#include "model/weight_places.h"
#include "train/backward.h"
#include "train/packing.h"

namespace selfalign {
namespace {

constexpr double kTolerance = 5e-4;  // of a log-probability
constexpr int64_t kPrompt = 20;      // tokens without loss

class FamiliesTest : public testing::TestWithParam<std::string> {
 protected:
  FamiliesTest()
      : golden_(read_family(GetParam())),
        ids_(golden_["ids"].get<std::vector<int>>()) {
    write_family(golden_, folder_.path());
    weights_ = std::make_shared<model::Weights>(
        model::load_weights(folder_.path(), at::kCPU, at::kFloat));
  }

  int64_t num_tokens() const { return static_cast<int64_t>(ids_.size()); }
  double want(int64_t token) const {  // of the one behind it
    return golden_["logprobs"][static_cast<size_t>(token)].get<double>();
  }
  // That logits, [vocab], are those behind token `token`.
  void expect_logits(int64_t token, const float* logits) const {
    if (token + 1 == num_tokens()) return;
    const int64_t vocab = weights_->config.vocab_size;
    const double max = *std::max_element(logits, logits + vocab);
    double sum = 0.0;
    for (int64_t i = 0; i < vocab; ++i) sum += std::exp(logits[i] - max);
    const int next = ids_[static_cast<size_t>(token + 1)];
    EXPECT_NEAR(logits[next] - max - std::log(sum), want(token), kTolerance)
        << "behind token " << token;
  }

  // The text through a decoder, its first `prefix` tokens as a shared prefix,
  // in chunks; then, without the last tokens, one by one beside another text.
  void check_decoder(engine::Decoder& decoder, int64_t prefix) const {
    const auto shared = decoder.new_sequence(96, true, nullptr);
    feed(decoder, *shared, 0, prefix);
    const engine::Sequence* before = prefix > 0 ? shared.get() : nullptr;
    const auto own = decoder.new_sequence(96, false, before);
    constexpr int64_t kStepped = 6;
    feed(decoder, *own, prefix, num_tokens() - kStepped);
    const auto other = decoder.new_sequence(96, false, before);
    feed(decoder, *other, prefix, prefix + 1);
    for (int64_t t = num_tokens() - kStepped; t < num_tokens(); ++t) {
      const float* logits = decoder.forward(
          {{other.get(), &ids_[static_cast<size_t>(prefix + 1)], 1},
           {own.get(), &ids_[static_cast<size_t>(t)], 1}},
          {1});
      expect_logits(t, logits);
    }
  }

 private:
  // Tokens first..last-1 of the text, in chunks of 16.
  void feed(engine::Decoder& decoder, engine::Sequence& own, int64_t first,
            int64_t last) const {
    constexpr int64_t kChunk = 16;
    for (int64_t t = first; t < last; t += kChunk) {
      const int64_t count = std::min(kChunk, last - t);
      std::vector<int64_t> wanted(static_cast<size_t>(count));
      std::iota(wanted.begin(), wanted.end(), int64_t{0});
      const float* logits = decoder.forward(
          {{&own, &ids_[static_cast<size_t>(t)], count}}, wanted);
      for (int64_t i = 0; i < count; ++i) {
        expect_logits(t + i, logits + i * weights_->config.vocab_size);
      }
    }
  }

 protected:
  const Json golden_;
  const std::vector<int> ids_;
  const ScratchFolder folder_;
  const engine::OneThread one_thread_;  // the models are tiny
  std::shared_ptr<model::Weights> weights_;
};

TEST_P(FamiliesTest, InOnePass) {
  const at::Tensor logits = engine::reference_logits(*weights_, ids_);
  for (int64_t t = 0; t < num_tokens(); ++t) {
    expect_logits(t, logits[t].const_data_ptr<float>());
  }
}

TEST_P(FamiliesTest, OnTheCpusKernels) {
  for (int s = 0; s < engine::num_kernel_sets(); ++s) {
    SCOPED_TRACE(engine::kernel_set(s).name);
    // Packed from the files, layer by layer.
    const model::Weights opened =
        model::open_weights(folder_.path(), at::kFloat);
    EXPECT_EQ(opened.digest, weights_->digest);
    const auto decoder = engine::make_cpu_decoder(
        opened, {.num_slots = 2, .prefill_chunk = 16, .max_context = 96},
        engine::kernel_set(s));
    // Prefixes within a window, over it, and over a page of keys.
    for (const int64_t prefix : {0, 5, 40, 65}) {
      SCOPED_TRACE(prefix);
      check_decoder(*decoder, prefix);
    }
  }
}

TEST_P(FamiliesTest, OnOtherDevices) {
  const auto decoder = engine::make_aten_decoder(
      weights_, {.num_slots = 2, .prefill_chunk = 16, .max_context = 96});
  for (const int64_t prefix : {0, 16, 48}) {
    SCOPED_TRACE(prefix);
    check_decoder(*decoder, prefix);
  }
}

// Samples of one start and other lengths, packed so that the start stands there
// once, and each alone.
TEST_P(FamiliesTest, AsPackedSamples) {
  std::vector<train::Sample> samples;
  double want_sum = 0.0;
  for (const int64_t length : {num_tokens(), int64_t{30}, int64_t{50}}) {
    samples.push_back(train::text_sample(
        std::vector<int>(ids_.begin(), ids_.begin() + length), kPrompt));
    for (int64_t t = kPrompt - 1; t + 1 < length; ++t) want_sum -= want(t);
  }
  std::vector<uint32_t> order(samples.size());
  std::iota(order.begin(), order.end(), 0U);
  const model::Rope rope = model::make_rope(weights_->config, 96, at::kCPU);
  for (const int64_t pack_tokens : {1, 1000}) {
    double sum = 0.0;
    for (const train::Pack& pack :
         pack_samples(samples, order, 0, order.size(), pack_tokens)) {
      sum += train::forward_pack(*weights_, rope, nullptr, pack);
    }
    EXPECT_NEAR(sum / want_sum, 1.0, 1e-5) << pack_tokens;
  }
}

// An adapter on all linear layers against PEFT: loaded, merged, and its
// gradients, with and without checkpointing, from one pass and from packs.
TEST_P(FamiliesTest, AnAdapterAsPeft) {
  const Json& lora = golden_["lora"];
  const ScratchFolder folder;
  write_adapter(lora, folder.path());
  const model::Lora loaded =
      model::load_lora(folder.path(), weights_->config, at::kCPU);
  EXPECT_EQ(loaded.note, "");
  const train::Sample sample = train::text_sample(ids_, kPrompt);
  const model::Rope rope = model::make_rope(weights_->config, 96, at::kCPU);
  const std::vector<train::Pack> packs =
      train::pack_samples({sample}, {0}, 0, 1, 1000);
  const double want_loss = lora["loss"].get<double>();
  model::Weights merged = *weights_;
  model::merge_lora(merged, loaded);
  EXPECT_NEAR(train::forward_pack(merged, rope, nullptr, packs.at(0)),
              want_loss, 1e-4 * want_loss);

  const train::LoraParameters parameters(*weights_, loaded);
  const double loss =
      train::backward_pack(rope, parameters, packs[0], 1.0, nullptr);
  EXPECT_NEAR(loss, want_loss, 1e-4 * want_loss);
  const at::Tensor gradients = parameters.gradients().clone();
  // Saved as if they were an adapter, they have PEFT's names and shapes.
  model::Lora as_adapter = *parameters.lora();
  for (model::LoraLayer& layer : as_adapter.layers) {
    for (const auto of : model::kLoraPairs) {
      model::LoraPair& pair = layer.*of;
      if (!pair.a.defined()) continue;
      pair.a = pair.a.grad();
      pair.b = pair.b.grad();
    }
  }
  const ScratchFolder saved;
  formats::AdapterConfig settings;
  settings.rank = 2;
  settings.alpha = 3;
  model::save_lora(saved.path() + "/adapter", as_adapter, weights_->config,
                   settings);
  const auto source = formats::open_safetensors(
      saved.path() + "/adapter/adapter_model.safetensors");
  EXPECT_EQ(source->tensors().size(), lora["gradients"].size());
  for (const Json& tensor : lora["tensors"]) {
    const auto name = tensor[0].get<std::string>();
    const formats::TensorView* view = source->find(name);
    ASSERT_NE(view, nullptr) << name;
    std::vector<float> found(static_cast<size_t>(view->num_elements()));
    formats::to_float(*view, found.data());
    const std::vector<float> probe =
        values({"probe " + name, tensor[1], 0.0, 1.0});
    double product = 0.0, size = 0.0;
    for (size_t i = 0; i < found.size(); ++i) {
      product += double(found[i]) * probe[i];
      size += double(found[i]) * found[i];
    }
    EXPECT_NEAR(product, lora["gradients"][name].get<double>(),
                1e-3 * std::sqrt(size) + 1e-4)
        << name;
  }

  parameters.gradients().zero_();
  EXPECT_EQ(train::backward_pack(rope, parameters, packs[0], 1.0, nullptr,
                                 /*checkpointing=*/true),
            loss);
  EXPECT_TRUE(parameters.gradients().equal(gradients));
}

// All weights, in the family's own names and fused forms, with and without
// checkpointing.
TEST_P(FamiliesTest, GradientsOfAllWeightsAsTransformers) {
  const Json& full = golden_["full"];
  const train::WeightParameters parameters(*weights_);
  const model::Rope rope = model::make_rope(weights_->config, 96, at::kCPU);
  const std::vector<train::Pack> packs =
      train::pack_samples({train::text_sample(ids_, kPrompt)}, {0}, 0, 1, 1000);
  const double loss =
      train::backward_pack(rope, parameters, packs.at(0), 1.0, nullptr);
  EXPECT_NEAR(loss, full["loss"].get<double>(), 1e-4 * loss);
  const at::Tensor gradients = parameters.gradients().clone();

  model::Weights named = parameters.weights();
  model::visit_weights(
      named, [](at::Tensor& tensor, const auto&) { tensor = tensor.grad(); });
  const model::NamedTensors found(named);
  int64_t num_compared = 0;
  for (const Json& tensor : golden_["tensors"]) {
    const auto name = tensor[0].get<std::string>();
    at::Tensor gradient =
        at::zeros(tensor[1].get<std::vector<int64_t>>(), at::kFloat);
    const int64_t count = found.put(
        formats::llama_name(weights_->config.family, name), &gradient);
    EXPECT_EQ(count, gradient.numel()) << name;
    num_compared += count;
    std::vector<float> probe = values({"probe " + name, tensor[1], 0.0, 1.0});
    const at::Tensor probes =
        at::from_blob(probe.data(), gradient.sizes(), at::kFloat);
    EXPECT_NEAR(at::mul(gradient.to(at::kDouble), probes).sum().item<double>(),
                full["gradients"][name].get<double>(),
                1e-3 * gradient.norm().item<double>() + 1e-4)
        << name;
  }
  EXPECT_EQ(num_compared, found.num_values());

  parameters.gradients().zero_();
  EXPECT_EQ(train::backward_pack(rope, parameters, packs[0], 1.0, nullptr,
                                 /*checkpointing=*/true),
            loss);
  EXPECT_TRUE(parameters.gradients().equal(gradients));
}

INSTANTIATE_TEST_SUITE_P(All, FamiliesTest, testing::ValuesIn(family_cases()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace selfalign
