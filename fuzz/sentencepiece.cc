// SPDX-License-Identifier: Apache-2.0
// SentencePiece models: what loads encodes any text, and every id it gives can
// be decoded.
#include "text/sentencepiece.h"

#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  const auto tokenizer = selfalign::text::make_sentencepiece(
      selfalign::text::parse_sentencepiece(bytes, "fuzz"));
  const auto ids = tokenizer->encode(bytes.substr(0, 2000), true);
  tokenizer->decode(ids, true);
}
