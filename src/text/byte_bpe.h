// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding (Sennrich et al. 2016) with the merges of a file: in each
// word the pair of neighbours with the lowest merge rank is joined, the
// leftmost first, until none is left. Over bytes as in Radford et al. 2019, or
// over characters, those without a token in bytes or unknown.
//
// A word of n bytes takes O(n log n): neighbours are a linked list, candidate
// pairs a heap whose stale entries are dropped when popped.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/alphabet.h"
#include "text/pipeline.h"

namespace selfalign::text {

struct BpeVocabulary : PipelineParts {
  BpeVocabulary() { decoder.emplace_back(); }

  // In order of rank; both sides and their concatenation are tokens.
  std::vector<std::pair<std::string, std::string>> merges;
  // Words are bytes and tokens in GPT-2's alphabet, or else both are text.
  bool byte_level = true;
  bool byte_fallback = false;  // of text: by tokens like <0x0A>
  bool ignore_merges = false;  // a word that is a token is that token
  // Token for a byte or character that has none, -1: such are dropped, as the
  // reference does.
  int unknown = -1;
  bool fuse_unknown = false;  // one token for several of them in a row
};

// Types of tokens in GGUF and SentencePiece files.
enum class TokenType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// Error kInput names vocabulary.where and what does not fit together.
std::unique_ptr<Tokenizer> make_byte_bpe(BpeVocabulary vocabulary);

}  // namespace selfalign::text
