// SPDX-License-Identifier: Apache-2.0
// What the files of an HF folder say beside its tokenizer.model: the added
// tokens of tokenizer.json, tokenizer_config.json (added_tokens_decoder) and
// added_tokens.json, which of them are special (those and
// special_tokens_map.json), and where the dummy prefix stands. Each file may be
// absent.
#pragma once

#include <string>

#include "text/sentencepiece.h"

namespace selfalign::text {

// Adds it to the vocabulary of a model in that folder. Error kInput names the
// file and what contradicts another one: two ids of a token, two tokens of an
// id, another token than the model's piece, a token in two ways.
void use_token_files(const std::string& folder, SentencePieceVocabulary& out);

}  // namespace selfalign::text
