// SPDX-License-Identifier: Apache-2.0
// tokenizer.json: what loads encodes any text, and every id it gives can be
// decoded.
#include "formats/load_tokenizer.h"
#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  const auto tokenizer =
      selfalign::formats::load_tokenizer(fuzz_file(bytes, ".tokenizer.json"));
  const auto ids = tokenizer->encode(bytes.substr(0, 2000), true);
  tokenizer->decode(ids, true);
}
