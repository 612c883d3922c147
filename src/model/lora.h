// SPDX-License-Identifier: Apache-2.0
// LoRA adapters in memory and on disk. Hu et al. 2021.
#pragma once

#include <string>
#include <vector>

#include "formats/model_config.h"
#include "formats/peft.h"
#include "model/aten.h"

namespace selfalign::model {

// The low-rank pair of one projection: y += scale * dropout(x) A^T B^T.
// Hu et al. 2021 (LoRA), section 4.1. Projections that the family's files fuse
// to one module (formats/hf_names.h) have one A, the same tensor, and are rows
// of one B.
struct LoraPair {
  at::Tensor a;        // [rank, in], float32
  at::Tensor b;        // [out, rank], float32
  double scale = 1.0;  // alpha / rank, or alpha / sqrt(rank)
};
struct LoraLayer {
  LoraPair q, k, v, o, gate, up, down;  // undefined where not a target
};
struct Lora {
  std::vector<LoraLayer> layers;
  std::string note;  // for a person: what the adapter leaves out; or empty
};
// By formats::Projection.
inline constexpr LoraPair LoraLayer::*kLoraPairs[] = {
    &LoraLayer::q,    &LoraLayer::k,  &LoraLayer::v,   &LoraLayer::o,
    &LoraLayer::gate, &LoraLayer::up, &LoraLayer::down};

// What merge_lora() does (weights.h) for one tensor of a model's files, by
// LLaMA's name for it, which may be several projections fused: the number of
// those that the adapter changes. To `weight`, [out, in] float32 on the CPU, it
// adds them; null: only counts.
int64_t add_lora(const Lora& lora, const formats::ModelConfig& config,
                 const std::string& name, at::Tensor* weight);

// PEFT layout (formats/peft.h). `load_lora` checks every name and shape
// against the configuration (Error kInput). `save_lora` re-reads what it wrote;
// `settings` has what the tensors do not tell: alphas, dropout, base_model.
Lora load_lora(const std::string& folder, const formats::ModelConfig& config,
               at::Device device);
void save_lora(const std::string& folder, const Lora& lora,
               const formats::ModelConfig& config,
               formats::AdapterConfig settings);
// Digest of the adapter's values, in order of layers.
std::string lora_digest(const Lora& lora);

}  // namespace selfalign::model
