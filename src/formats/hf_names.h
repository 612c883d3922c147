// SPDX-License-Identifier: Apache-2.0
// How families name the linear layers of a block in their HF files, and which
// projections are fused to one there. Inside, all have LLaMA's names; an
// adapter's (peft.h) and an exported model's are the family's own.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "formats/model_config.h"

namespace selfalign::formats {

// In the order in which layers are trained, digested and written.
enum class Projection { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr size_t kNumProjections = 7;
inline constexpr std::array<const char*, kNumProjections> kProjectionNames = {
    "q_proj",    "k_proj",  "v_proj",   "o_proj",
    "gate_proj", "up_proj", "down_proj"};

// Rows of a module that are one projection: blocks of `block` rows, the first
// at row `first`, each `stride` behind the one before it.
struct ModuleRows {
  Projection projection;
  int64_t rows;  // in all
  int64_t first, block, stride;
};

// A linear layer [out, in] within a block.
struct LinearModule {
  std::string name;  // "self_attn.q_proj", "mlp.gate_up_proj"
  int64_t out, in;
  std::vector<ModuleRows> parts;  // one where nothing is fused
};

// Those of each layer as the HF files of config.family have them.
std::vector<LinearModule> linear_modules(const ModelConfig& config);
// All ways to fuse projections that a file may have, HF's or GGUF:
// "self_attn.qkv_proj" and "mlp.gate_up_proj" (one after the other) and
// "self_attn.query_key_value" (q, k, v of the first head, then of the second).
std::vector<LinearModule> fused_modules(const ModelConfig& config);

// A name as LLaMA's files have it and as the family's have it; both end
// modules with a dot: "model.layers.3.mlp.up_proj.weight" of StarCoder2 is
// "model.layers.3.mlp.c_fc.weight".
std::string llama_name(const std::string& family, std::string name);
std::string family_name(const std::string& family, std::string name);

}  // namespace selfalign::formats
