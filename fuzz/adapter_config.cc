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
  formats::write_adapter_config(folder, config);
  const auto again = formats::read_adapter_config(folder);
  SELFALIGN_CHECK(again.rank == config.rank && again.alpha == config.alpha);
}
