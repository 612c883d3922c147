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

}  // namespace selfalign::engine
