// SPDX-License-Identifier: Apache-2.0
// What a model takes in memory on a CPU, told from its description alone.
#pragma once

#include <cstdint>

#include "base/tune_options.h"
#include "formats/model_config.h"
#include "model/aten.h"
#include "model/rounding.h"

namespace selfalign::local {

struct MemoryNeeds {
  uint64_t weights = 0;      // as they generate, packed once
  uint64_t cache_token = 0;  // keys and values of a token that is kept
  uint64_t base = 0;         // the base of a training
  uint64_t trained = 0;      // values, gradients and AdamW's two moments
  // Intermediate values of a pass of options.pack_tokens, about: what autograd
  // keeps of each layer, or of one with gradient checkpointing.
  uint64_t pass = 0;

  uint64_t training() const { return base + trained + pass; }
};
MemoryNeeds memory_needs(const formats::ModelConfig& config,
                         at::ScalarType dtype, model::Rounding rounding,
                         const TuneOptions& options);

}  // namespace selfalign::local
