// SPDX-License-Identifier: Apache-2.0
// adapter_config.json, of PEFT and as it is written, and the prompt that an
// adapter carries: the first byte says which.
#include "formats/peft.h"
#include "fuzz.h"
#include "stages/adapter_prompt.h"

namespace formats = selfalign::formats;

void fuzz_one(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string folder = fuzz_folder();
  if (bytes[0] != '{') {
    fuzz_write(folder + "/selfalign.json", bytes.substr(1));
    selfalign::stages::read_adapter_prompt(folder);
    return;
  }
  fuzz_write(folder + "/adapter_config.json", bytes);
  const auto config = formats::read_adapter_config(folder);
  const formats::AdapterTargets targets(config, "fuzz");
  for (const char* name : {"model.layers.0.self_attn.q_proj",
                           "gpt_neox.layers.11.mlp.dense_4h_to_h"}) {
    const auto found = targets.find(name);
    SELFALIGN_CHECK(!found || (found->rank > 0 && found->scale > 0.0));
  }
  for (const std::string& name : config.target_modules) {
    formats::parse_adapter_name(name + ".lora_A.weight", "gpt_neox");
  }
  formats::write_adapter_config(folder, config);
  const auto again = formats::read_adapter_config(folder);
  SELFALIGN_CHECK(again.rank == config.rank && again.alpha == config.alpha);
}
