// SPDX-License-Identifier: Apache-2.0
// adapter_config.json of a LoRA adapter in the layout that PEFT, vLLM and
// llama.cpp's converter accept: plain alpha/r, bias none, leaf target_modules.
// The tensors stand beside it in adapter_model.safetensors, named
// "base_model.model.model.layers.N.self_attn.q_proj.lora_A.weight" [r, in] and
// "....lora_B.weight" [out, r].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace selfalign::formats {

struct AdapterConfig {
  int64_t rank = 16;
  double alpha = 16.0;
  double dropout = 0.0;
  std::vector<std::string> target_modules = {"q_proj", "k_proj", "v_proj",
                                             "o_proj"};
  std::string base_model;  // as the user named it
};

// Error kInput unless the folder is there and holds an adapter: a run's and a
// model's are named as such.
void require_adapter(const std::string& folder);

// Error kInput also for what this program cannot apply faithfully (rslora,
// dora, bias, modules_to_save, rank patterns, other peft_type).
AdapterConfig read_adapter_config(const std::string& folder);
void write_adapter_config(const std::string& folder,
                          const AdapterConfig& config);

}  // namespace selfalign::formats
