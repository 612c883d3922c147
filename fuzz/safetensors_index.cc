// SPDX-License-Identifier: Apache-2.0
// The index of a model in shards, beside one shard that is there.
#include "formats/safetensors.h"
#include "fuzz.h"

namespace formats = selfalign::formats;

void fuzz_one(std::string_view bytes) {
  const std::string folder = fuzz_folder();
  const std::string values(8, '\1');
  formats::write_safetensors(folder + "/a.safetensors",
                             {{"x", formats::ElementType::kF32, {2}, values}},
                             {});
  fuzz_write(folder + "/model.safetensors.index.json", bytes);
  const auto source = formats::open_safetensors(folder);
  SELFALIGN_CHECK(source->tensors().size() == 1);
}
