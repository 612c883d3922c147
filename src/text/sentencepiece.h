// SPDX-License-Identifier: Apache-2.0
// SentencePiece (Kudo and Richardson 2018), types BPE (LLaMA 1 and 2) and
// Unigram (T5): a table normalises the text, white space becomes U+2581, and
// then the pair of neighbours whose joined piece has the highest score is
// joined first, or the pieces with the highest sum of scores are taken.
// Characters without a piece fall back to byte pieces. The .model file is a
// protobuf message (sentencepiece_model.proto), read here by hand.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/byte_bpe.h"
#include "text/tokenizer.h"

namespace selfalign::text {

struct SentencePieceVocabulary {
  std::string where;                // the file, for errors
  std::vector<std::string> pieces;  // by id
  std::vector<float> scores;
  std::vector<TokenType> types;
  int unknown = 0;
  int bos = 1;                  // -1: none
  int eos = 2;                  // -1: none
  std::vector<int> end_tokens;  // beside eos
  bool adds_bos = true;
  bool byte_fallback = true;
  // Found in the text before anything else looks at it. Ids beyond the pieces
  // make the vocabulary larger; others are pieces with the same text.
  std::vector<AddedToken> added;
  bool add_dummy_prefix = true;           // a space before the text
  bool prefix_after_added = true;         // and after each added token in it
  bool prefix_before_space = true;        // also where a space begins it
  bool remove_extra_whitespaces = false;  // at both ends, and repeated ones
  bool escape_whitespaces = true;
  bool is_unigram = false;  // else BPE
  std::string charsmap;     // charsmap.h; "": none
};

// With parse_special, control pieces are found in the text. decode() is the
// inverse of encode(): it drops the space of the dummy prefix. A model that
// removes extra white space does so at the end of each piece, too: cut such
// texts before white space.
std::unique_ptr<Tokenizer> make_sentencepiece(
    SentencePieceVocabulary vocabulary);

// Error kInput names the file and what is not understood: types other than
// BPE and Unigram, white space as a suffix.
SentencePieceVocabulary parse_sentencepiece(std::string_view bytes,
                                            const std::string& where);
std::unique_ptr<Tokenizer> read_sentencepiece(const std::string& path);
// What it is made of: the file and what the folder says beside it.
SentencePieceVocabulary read_sentencepiece_vocabulary(const std::string& path);

}  // namespace selfalign::text
