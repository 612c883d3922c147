// SPDX-License-Identifier: Apache-2.0
// safetensors: header and tensors decoded, then written and read again.
#include "formats/safetensors.h"

#include <vector>

#include "fuzz.h"

namespace formats = selfalign::formats;

void fuzz_one(std::string_view bytes) {
  const auto source =
      formats::open_safetensors(fuzz_file(bytes, ".safetensors"));
  for (const auto& tensor : source->tensors()) {
    SELFALIGN_CHECK(tensor.bytes.size() <= bytes.size());
  }
  const std::string copy = fuzz_file("", ".copy.safetensors");
  formats::write_safetensors(copy, source->tensors(), {});
  const auto again = formats::open_safetensors(copy);
  SELFALIGN_CHECK(again->tensors().size() == source->tensors().size());
}
