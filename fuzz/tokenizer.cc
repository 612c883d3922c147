// tokenizer.json and SentencePiece models: what loads encodes any text, and
// every id it gives can be decoded.
#include "formats/load_tokenizer.h"
#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  const bool json = !bytes.empty() && bytes.front() == '{';
  const auto tokenizer = selfalign::formats::load_tokenizer(
      fuzz_file(bytes, json ? ".tokenizer.json" : ".model"));
  const auto ids = tokenizer->encode(bytes.substr(0, 2000));
  tokenizer->decode(ids, true);
}
