// SPDX-License-Identifier: Apache-2.0
#include "engine/testing.h"

#include <random>

#include "base/error.h"
#include "engine/cpu_decoder.h"

namespace selfalign::engine {

std::shared_ptr<model::Weights> tiny_weights(const TinyShape& shape,
                                             at::ScalarType dtype) {
  std::mt19937 random(7);
  const auto normal = [&](const std::vector<int64_t>& size, double scale,
                          double mean = 0) {
    std::normal_distribution<float> draw(static_cast<float>(mean),
                                         static_cast<float>(scale));
    at::Tensor t = at::empty(size, at::kFloat);
    float* p = t.data_ptr<float>();
    for (int64_t i = 0; i < t.numel(); ++i) p[i] = draw(random);
    return t.to(dtype);
  };
  auto weights = std::make_shared<model::Weights>();
  formats::ModelConfig& c = weights->config;
  c.num_layers = shape.num_layers;
  c.hidden_size = shape.hidden;
  c.num_heads = shape.heads;
  c.num_kv_heads = shape.kv_heads;
  c.head_dim = shape.head_dim;
  c.intermediate_size = shape.intermediate;
  c.vocab_size = shape.vocab;
  c.max_positions = 4096;
  c.norm_eps = 1e-5;
  c.rotary_dim = shape.head_dim;
  c.rope.theta = 10000;
  const int64_t h = shape.hidden, d = shape.head_dim;
  const double scale = 1.5 / std::sqrt(double(h));
  for (int64_t i = 0; i < shape.num_layers; ++i) {
    model::LayerWeights w;
    w.input_norm.weight = normal({h}, 0.1, 1);
    w.q = normal({shape.heads * d, h}, scale);
    w.k = normal({shape.kv_heads * d, h}, scale);
    w.v = normal({shape.kv_heads * d, h}, scale);
    w.o = normal({h, shape.heads * d}, scale);
    w.mlp_norm.weight = normal({h}, 0.1, 1);
    w.gate = normal({shape.intermediate, h}, scale);
    w.up = normal({shape.intermediate, h}, scale);
    w.down = normal({h, shape.intermediate}, scale);
    weights->layers.push_back(w);
  }
  weights->embedding = normal({shape.vocab, h}, 0.7);
  weights->head = weights->embedding;
  weights->final_norm.weight = normal({h}, 0.1, 1);
  weights->digest = "tiny";
  return weights;
}

std::vector<int> ByteTokenizer::encode(std::string_view text, bool) const {
  std::vector<int> ids;
  for (unsigned char c : text) ids.push_back(c);
  return ids;
}

std::string ByteTokenizer::decode(const std::vector<int>& ids,
                                  bool with_special) const {
  std::string text;
  for (int id : ids) text += decode_token(id, with_special);
  return text;
}

std::string ByteTokenizer::decode_token(int id, bool) const {
  return id < 256 ? std::string(1, static_cast<char>(id)) : "";
}

std::unique_ptr<generate::Generator> engine_of(const EngineOptions& options,
                                               at::ScalarType dtype) {
  return make_engine(tiny_weights({}, dtype), std::make_shared<ByteTokenizer>(),
                     options);
}

Completions run(generate::Generator& generator,
                const std::vector<generate::Request>& requests) {
  Completions completions;
  size_t next = 0;
  generator.generate(
      [&]() -> std::optional<generate::Request> {
        if (next == requests.size()) return std::nullopt;
        return requests[next++];
      },
      [&](generate::Completion c) {
        const uint64_t key = c.key;
        const bool is_new = completions.emplace(key, std::move(c)).second;
        SELFALIGN_CHECK(is_new, "twice: ", key);
      });
  SELFALIGN_CHECK(completions.size() == requests.size(), completions.size());
  return completions;
}

at::Tensor reference_logits(const model::Weights& weights,
                            const std::vector<int>& tokens) {
  const OneThread one_thread;
  const c10::InferenceMode mode;
  const int64_t count = static_cast<int64_t>(tokens.size());
  model::CausalAttention attention(weights.config);
  const model::Rope rope = model::make_rope(weights.config, count, at::kCPU);
  const at::Tensor hidden = model::hidden_states(
      weights, rope, at::tensor(tokens, at::kLong),
      at::arange(count, at::TensorOptions(at::kLong)), attention);
  return model::logits(weights, hidden).to(at::kFloat).contiguous();
}

WatchedDecoder::WatchedDecoder(int num_slots)
    : decoder_(make_cpu_decoder(*tiny_weights(),
                                {.num_slots = num_slots,
                                 .prefill_chunk = kTinyOptions.prefill_chunk,
                                 .max_context = kTinyOptions.max_context})) {}

}  // namespace selfalign::engine
