// SPDX-License-Identifier: Apache-2.0
#include "model/weights.h"

#include <array>

#include "base/error.h"
#include "base/hash.h"

namespace selfalign::model {

using formats::Projection;

namespace {

// A model's projections in few bits, the rest as it is.
class RoundedSource : public WeightSource {
 public:
  explicit RoundedSource(const Weights& weights)
      : dtype_(weights.dtype()), embedding_(weights.embedding_values()) {
    if (!weights.config.tied_embeddings) head_ = weights.head_values();
    for (int64_t i = 0; i < weights.config.num_layers; ++i) {
      auto& layer = layers_.emplace_back();
      for (size_t j = 0; j < formats::kNumProjections; ++j) {
        const at::Tensor matrix = weights.projection(i, Projection(j));
        if (!matrix.defined()) continue;
        layer[j] = RoundedMatrix(matrix, weights.rounding);
      }
    }
  }

  at::Tensor projection(int64_t layer, Projection which) const override {
    return layers_[size_t(layer)][size_t(which)].values(dtype_);
  }
  at::Tensor embedding() const override { return embedding_; }
  at::Tensor head() const override { return head_; }

 private:
  at::ScalarType dtype_;
  at::Tensor embedding_, head_;
  std::vector<std::array<RoundedMatrix, formats::kNumProjections>> layers_;
};

// weight + scale * B A in float32, rounded to its type.
at::Tensor add_pair(const at::Tensor& weight, const LoraPair& pair) {
  return at::add(weight.to(at::kFloat), at::mm(pair.b, pair.a), pair.scale)
      .to(weight.scalar_type());
}

}  // namespace

std::vector<at::Tensor> WeightSource::multiply(
    int64_t /*layer*/, const std::vector<Projection>& /*which*/,
    const at::Tensor& /*x*/) const {
  SELFALIGN_CHECK(false, "these weights do not multiply");
}

at::Tensor Weights::projection(int64_t layer, Projection which) const {
  const at::Tensor& own = layers[size_t(layer)].*kProjections[size_t(which)];
  if (!own.defined() || !own.is_meta()) return own;
  at::Tensor matrix = source->projection(layer, which);
  for (const auto& adapter : adapters) {
    const LoraPair& pair =
        adapter->layers[size_t(layer)].*kLoraPairs[size_t(which)];
    if (pair.a.defined()) matrix = add_pair(matrix, pair);
  }
  return matrix;
}

at::Tensor Weights::embedding_values() const {
  return is_held() ? embedding : source->embedding();
}

at::Tensor Weights::head_values() const {
  if (is_held()) return head;
  return config.tied_embeddings ? source->embedding() : source->head();
}

LayerWeights Weights::layer(int64_t layer) const {
  LayerWeights w = layers[size_t(layer)];
  if (keeps_layers()) return w;
  for (size_t j = 0; j < formats::kNumProjections; ++j) {
    w.*kProjections[j] = projection(layer, Projection(j));
  }
  return w;
}

Weights held_weights(const Weights& weights) {
  Weights held = weights;
  held.adapters.clear();
  held.rounding = base_rounding(weights.rounding);
  if (held.rounding != Rounding::kNone) {
    held.source = std::make_shared<RoundedSource>(weights);
    for (LayerWeights& layer : held.layers) {
      for (const auto of : kProjections) {
        at::Tensor& matrix = layer.*of;
        if (!matrix.defined()) continue;
        matrix = at::empty(matrix.sizes(), matrix.options().device(at::kMeta));
      }
    }
    held.embedding = held.source->embedding();
    held.head =
        weights.config.tied_embeddings ? held.embedding : held.source->head();
    return held;
  }
  if (weights.is_held()) return held;
  held.source = nullptr;
  for (int64_t i = 0; i < weights.config.num_layers; ++i) {
    held.layers[size_t(i)] = weights.layer(i);
  }
  held.embedding = weights.embedding_values();
  held.head =
      weights.config.tied_embeddings ? held.embedding : weights.head_values();
  return held;
}

void merge_lora(Weights& weights, const Lora& lora) {
  SELFALIGN_CHECK(lora.layers.size() == weights.layers.size());
  const c10::InferenceMode no_gradients(false);
  const at::NoGradGuard guard;
  for (size_t i = 0; i < lora.layers.size(); ++i) {
    for (size_t j = 0; j < formats::kNumProjections; ++j) {
      const LoraPair& pair = lora.layers[i].*kLoraPairs[j];
      if (!pair.a.defined()) continue;
      at::Tensor& weight = weights.layers[i].*kProjections[j];
      weight = weight.is_meta() ? at::empty_like(weight)  // another identity
                                : add_pair(weight, pair);
    }
  }
  if (!weights.is_held()) {
    weights.adapters.push_back(std::make_shared<const Lora>(lora));
  }
  Hasher hasher;
  weights.digest = hasher.add(weights.digest).add(lora_digest(lora)).digest();
}

}  // namespace selfalign::model
