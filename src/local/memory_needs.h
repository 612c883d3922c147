// SPDX-License-Identifier: Apache-2.0
// What a model takes in memory, told from its description alone: on a CPU, and
// on another device, where it is asked before anything is loaded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

// To generate on a device other than a CPU (engine/aten_decoder.h).
struct DeviceNeeds {
  uint64_t weights = 0;
  uint64_t cache_token = 0;  // keys and values of a token that is kept
  int64_t slab_pages = 0;    // pages of a slab, of kAtenPageKeys tokens each
  uint64_t cache_slab = 0;   // bytes of a slab, of which rows take one at least
  uint64_t pass = 0;         // intermediate values, about

  uint64_t least() const { return weights + cache_slab + pass; }
  // Keys and values of rows that hold so many tokens each.
  uint64_t cache(int64_t rows, int64_t tokens) const;
};
DeviceNeeds device_needs(const formats::ModelConfig& config,
                         at::ScalarType dtype, int num_slots);

// Error kResources, with both figures, where a device has less than the least
// that `path` needs there. available: what it has, nothing where it does not
// say.
void require_device_memory(const std::string& path, const DeviceNeeds& needs,
                           std::optional<uint64_t> available);

}  // namespace selfalign::local
