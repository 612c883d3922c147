// SPDX-License-Identifier: Apache-2.0
#include "local/memory_needs.h"

#include <algorithm>

#include "base/error.h"
#include "engine/aten_cache.h"
#include "engine/engine_options.h"
#include "formats/hf_names.h"
#include "model/load_weights.h"
#include "train/optimizer.h"

namespace selfalign::local {
namespace {

// Numbers that are trained.
uint64_t trained_values(const formats::ModelConfig& config,
                        const TuneOptions& options) {
  if (options.is_full()) {
    return model::weight_bytes(config, at::kFloat, model::Rounding::kNone) /
           sizeof(float);
  }
  train::TrainOptions train;
  static_cast<TuneOptions&>(train) = options;
  const formats::AdapterConfig adapter = train::adapter_config(train);
  uint64_t values = 0;
  for (const train::LoraShape& shape : train::lora_shapes(config, adapter)) {
    values += uint64_t(shape.settings.rank) *
              uint64_t(shape.module.in + shape.module.out);
  }
  return values;
}

// What autograd keeps of a token in a layer: inputs of its norms and products,
// the gate's and its activation, and of each product with an adapter the
// dropout's mask and what it leaves.
uint64_t kept_values(const formats::ModelConfig& c, size_t num_modules) {
  const int64_t q = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  const int64_t lora = int64_t(num_modules) * 2 * c.hidden_size;
  return uint64_t(4 * c.hidden_size + 2 * q + 2 * kv + 4 * c.intermediate_size +
                  lora);
}

}  // namespace

MemoryNeeds memory_needs(const formats::ModelConfig& config,
                         at::ScalarType dtype, model::Rounding rounding,
                         const TuneOptions& options) {
  const uint64_t element = at::elementSize(dtype);
  MemoryNeeds needs;
  needs.weights = model::weight_bytes(config, dtype, rounding);
  needs.cache_token = 2 * uint64_t(config.num_layers) *
                      uint64_t(config.num_kv_heads) *
                      uint64_t((config.head_dim + 15) / 16 * 16) * element;
  const model::Rounding full = model::Rounding::kNone;
  const model::Rounding base = options.is_full() ? full : rounding;
  needs.base = model::weight_bytes(config, dtype, base);
  if (base != full) {
    // Embedding and output are in the compute type.
    formats::ModelConfig words = config;
    words.num_layers = 0;
    const uint64_t coded_words = model::weight_bytes(words, dtype, base);
    // For each direction (train/frozen_base.h).
    if (base == model::Rounding::kW8a8) needs.base += needs.base - coded_words;
    needs.base += model::weight_bytes(words, dtype, full) - coded_words;
  }
  needs.trained = trained_values(config, options) * 4 * sizeof(float);
  const uint64_t layers =
      options.gradient_checkpointing ||
              model::base_rounding(base) != model::Rounding::kNone
          ? 1
          : uint64_t(config.num_layers);
  const size_t modules = formats::linear_modules(config).size();
  needs.pass = uint64_t(options.pack_tokens) * element *
               (layers * kept_values(config, modules) +
                uint64_t(config.num_layers * config.hidden_size));
  // The weights in their type, of which each pass has its own, and the
  // gradients of embedding and output.
  if (options.is_full()) {
    needs.pass += uint64_t(config.vocab_size * config.hidden_size) *
                  (2 * sizeof(float) + element);
    if (dtype != at::kFloat) needs.pass += needs.weights;
  }
  return needs;
}

uint64_t DeviceNeeds::cache(int64_t rows, int64_t tokens) const {
  const int64_t keys = engine::kAtenPageKeys;
  const int64_t pages = rows * ((tokens + keys - 1) / keys);
  return uint64_t((pages + slab_pages - 1) / slab_pages) * cache_slab;
}

DeviceNeeds device_needs(const formats::ModelConfig& c, at::ScalarType dtype,
                         int num_slots) {
  const engine::AtenShape shape{c.num_layers, c.num_kv_heads, c.head_dim,
                                at::TensorOptions(dtype)};
  const auto element = static_cast<int64_t>(at::elementSize(dtype));
  const int64_t rows =
      std::max(num_slots, engine::EngineOptions().prefill_chunk);
  const int64_t q = c.num_heads * c.head_dim;
  DeviceNeeds needs;
  needs.weights = model::weight_bytes(c, dtype, model::Rounding::kNone);
  needs.cache_token = uint64_t(shape.token_bytes());
  needs.slab_pages = std::min<int64_t>(num_slots, engine::kAtenSlabPages);
  needs.cache_slab =
      uint64_t(needs.slab_pages * engine::kAtenPageKeys) * needs.cache_token;
  // Logits in both types; what a layer has between its products; scores of a
  // page, their mask and their weights.
  const int64_t scores =
      std::max(rows, needs.slab_pages) * c.num_heads * engine::kAtenPageKeys;
  needs.pass =
      uint64_t(rows * c.vocab_size * (element + 4) +
               rows * (4 * c.hidden_size + 4 * q + 3 * c.intermediate_size) *
                   (element + 4) +
               scores * (16 + element));
  return needs;
}

void require_device_memory(const std::string& path, const DeviceNeeds& needs,
                           std::optional<uint64_t> available) {
  if (!available || needs.least() <= *available) return;
  const auto mib = [](uint64_t bytes) { return str(bytes >> 20, " MiB"); };
  throw Error(
      ErrorKind::kResources,
      str(path, ": expected ", mib(needs.least()),
          " of free memory on the device (", mib(needs.weights),
          " of weights, ", mib(needs.cache_slab),
          " for the first keys and values, ", mib(needs.pass),
          " for a pass), found ", mib(*available),
          "; use dtype bfloat16, fewer slots (num_slots), a smaller model or "
          "device cpu, or end what else computes there"));
}

}  // namespace selfalign::local
