// SPDX-License-Identifier: Apache-2.0
// A LoRA adapter as PEFT saves it (huggingface/peft, tuners/lora/config.py and
// tuners/tuners_utils.py): adapter_config.json and, beside it in
// adapter_model.safetensors, two tensors for each linear module,
// "base_model.model.model.layers.N.self_attn.q_proj.lora_A.weight" [r, in] and
// "....lora_B.weight" [out, r], under the names of the base's family. What is
// written is what PEFT, vLLM and llama.cpp's converter accept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/hf_names.h"

namespace selfalign::formats {

struct AdapterConfig {
  int64_t rank = 16;
  double alpha = 16.0;
  double dropout = 0.0;
  bool use_rslora = false;  // alpha / sqrt(rank) in place of alpha / rank
  // Modules by name, by the end of their name, or all that one regular
  // expression matches whole; "all-linear" is every one of a block.
  std::vector<std::string> target_modules = {"q_proj", "k_proj", "v_proj",
                                             "o_proj"};
  bool targets_are_pattern = false;  // target_modules is one expression
  std::vector<std::string> exclude_modules;
  bool excludes_are_pattern = false;
  // Of what a list targets only these layers, where given.
  std::optional<std::vector<int64_t>> layers;
  std::vector<std::string> layers_pattern;  // what stands before the number
  // Other ranks and alphas, by an expression for the end of a module's name.
  std::map<std::string, double> rank_pattern, alpha_pattern;
  std::string base_model;  // as the user named it
};

// What an adapter says of one module.
struct ModuleSettings {
  int64_t rank;
  double scale;  // of B A x
};

// The modules an adapter is for. Error kInput names the expression that is
// none, or whose matching takes too long.
class AdapterTargets {
 public:
  AdapterTargets(const AdapterConfig& config, const std::string& where);
  ~AdapterTargets();

  // Of module `name` ("model.layers.0.self_attn.q_proj"); none: no target.
  std::optional<ModuleSettings> find(const std::string& name) const;

 private:
  struct Patterns;
  const AdapterConfig& config_;
  std::unique_ptr<Patterns> patterns_;
};

// Where a tensor of an adapter belongs.
struct AdapterTensor {
  int64_t layer;
  std::string module;  // LLaMA's name within the layer, "mlp.up_proj"
  bool is_b;           // lora_B
};
// None for a tensor that is no lora_A or lora_B of a layer's module. PEFT's
// prefix "base_model.model." and the model's own may be left out.
std::optional<AdapterTensor> parse_adapter_name(const std::string& name,
                                                const std::string& family);
// PEFT's name: the inverse.
std::string adapter_name(const AdapterTensor& tensor,
                         const std::string& family);

// Whether the folder holds no adapter but a model that this program tuned whole
// or merged: selfalign.json, which says how it is asked, lies beside its
// config.json.
bool is_tuned_model(const std::string& folder);

// Error kInput unless the folder is there and holds an adapter whose values are
// safetensors: a run's and a model's are named as such, and a pickle.
void require_adapter(const std::string& folder);

// Error kInput also for what this program cannot apply faithfully (dora, bias,
// modules_to_save, other peft_type).
AdapterConfig read_adapter_config(const std::string& folder);
void write_adapter_config(const std::string& folder,
                          const AdapterConfig& config);

}  // namespace selfalign::formats
