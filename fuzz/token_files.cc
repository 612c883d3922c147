// SPDX-License-Identifier: Apache-2.0
// The files beside a tokenizer: the first byte says which of them.
#include "text/token_files.h"

#include "fuzz.h"
#include "text/tokenizer_json.h"

namespace text = selfalign::text;

void fuzz_one(std::string_view bytes) {
  constexpr const char* kNames[] = {
      "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
      "generation_config.json", "tokenizer.json"};
  if (bytes.empty()) return;
  const std::string folder = fuzz_folder();
  const auto kind = static_cast<unsigned char>(bytes[0]) % std::size(kNames);
  fuzz_write(folder + "/" + kNames[kind], bytes.substr(1));
  text::SentencePieceVocabulary vocabulary;
  vocabulary.where = "fuzz";
  vocabulary.pieces = {"<unk>", "<s>", "</s>", "a", "<0x0A>"};
  vocabulary.scores.assign(5, 0.0f);
  vocabulary.types = {text::TokenType::kUnknown, text::TokenType::kControl,
                      text::TokenType::kControl, text::TokenType::kNormal,
                      text::TokenType::kByte};
  text::read_side_files(folder);
  text::use_token_files(folder, vocabulary);
  const auto tokenizer = text::make_sentencepiece(std::move(vocabulary));
  tokenizer->decode(tokenizer->encode(bytes.substr(0, 2000), true), true);
}
