// SPDX-License-Identifier: Apache-2.0
// The vocabularies of GGUF files, of either kind.
#include "formats/gguf.h"
#include "formats/load_tokenizer.h"
#include "fuzz.h"

namespace formats = selfalign::formats;

void fuzz_one(std::string_view bytes) {
  const auto tokenizer = formats::tokenizer_from_gguf(
      *formats::GgufFile::open(fuzz_file(bytes, ".gguf")));
  const auto ids = tokenizer->encode(bytes.substr(0, 2000), true);
  tokenizer->decode(ids, true);
}
