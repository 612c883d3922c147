// SPDX-License-Identifier: Apache-2.0
// GGUF: header, configuration, tensors decoded, vocabulary.
#include "formats/gguf.h"

#include <vector>

#include "formats/load_tokenizer.h"
#include "formats/model_config.h"
#include "fuzz.h"

namespace formats = selfalign::formats;

void fuzz_one(std::string_view bytes) {
  const auto file = formats::GgufFile::open(fuzz_file(bytes, ".gguf"));
  for (const auto& tensor : file->tensors()) {
    // A hostile shape cannot be larger than the file that holds it.
    SELFALIGN_CHECK(tensor.bytes.size() <= bytes.size());
    std::vector<float> values(tensor.num_elements());
    formats::to_float(tensor, values.data());
  }
  try {
    formats::config_from_gguf(*file);
    formats::open_gguf_tensors(file);
  } catch (const selfalign::Error&) {
    // Not a LLaMA; its vocabulary may still be one.
    formats::tokenizer_from_gguf(*file)->encode("It's 2026, caf\u00e9.");
    return;
  }
  formats::tokenizer_from_gguf(*file)->encode("It's 2026, caf\u00e9.");
}
