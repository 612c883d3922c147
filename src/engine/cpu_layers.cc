// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_layers.h"

namespace selfalign::engine {

PackedNorm::PackedNorm(const model::Norm& norm,
                       const formats::ModelConfig& config)
    : is_layer_norm_(config.norm == formats::NormKind::kLayer),
      eps_(static_cast<float>(config.norm_eps)) {
  if (!norm.weight.defined()) return;
  weight_ = to_floats(norm.weight);
  if (norm.bias.defined()) bias_ = to_floats(norm.bias);
  if (config.norm == formats::NormKind::kRmsPlusOne) {
    for (float& weight : weight_) weight += 1.0f;
  }
}

Activation activation_of(const formats::ModelConfig& config) {
  switch (config.activation) {
    case formats::Activation::kSilu:
      return Activation::kSilu;
    case formats::Activation::kGelu:
      return Activation::kGelu;
    case formats::Activation::kGeluTanh:
      return Activation::kGeluTanh;
    case formats::Activation::kReluSquared:
      return Activation::kReluSquared;
  }
  SELFALIGN_CHECK(false, "activation of another kind");
}

}  // namespace selfalign::engine
