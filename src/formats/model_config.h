// SPDX-License-Identifier: Apache-2.0
// The shape of a LLaMA-family model, read from config.json or GGUF metadata,
// every number checked before anything is allocated from it.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"

namespace selfalign::formats {

class GgufFile;

struct ModelConfig {
  int64_t num_layers = 0;
  int64_t hidden_size = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;  // context length
  double rms_norm_eps = 0.0;
  double rope_theta = 0.0;  // missing is an error, never a default
  bool tied_embeddings = false;
  bool attention_bias = false;  // q, k, v and o projections have biases
  // Rope scaling: "none", "linear" or "llama3"; any other type is an error.
  std::string rope_type = "none";
  double rope_factor = 1.0;
  double rope_low_freq_factor = 1.0;    // llama3
  double rope_high_freq_factor = 4.0;   // llama3
  int64_t rope_original_positions = 0;  // llama3
};

// config.json of a LlamaForCausalLM; other architectures, activations, rope
// types, MLP biases and quantised weights are an Error (kInput) that names
// them. `where` names the file.
ModelConfig config_from_json(const Json& json, const std::string& where);
// Metadata "llama.*" of a GGUF file; the vocabulary's size is the number of
// rows of the token embedding, tied_embeddings means there is no output matrix.
ModelConfig config_from_gguf(const GgufFile& file);
// Throws Error kInput unless every size is in its sane range and consistent.
void check_config(const ModelConfig& config, const std::string& where);

}  // namespace selfalign::formats
