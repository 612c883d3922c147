// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE (Sennrich et al. 2016; over bytes as in Radford et al. 2019):
// added tokens are cut out, the rest is normalised and cut into words, and in
// each word the pair of neighbours with the lowest merge rank is joined, the
// leftmost first, until none is left.
//
// A word of n bytes takes O(n log n): neighbours are a linked list, candidate
// pairs a heap whose stale entries are dropped when popped. Words seen before
// come from a bounded cache.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace selfalign::text {

struct BpeVocabulary {
  std::string where;  // the file, for errors
  // By id, in GPT-2's printable alphabet of bytes; "" is a hole.
  std::vector<std::string> tokens;
  // In order of rank; both sides and their concatenation are tokens.
  std::vector<std::pair<std::string, std::string>> merges;
  // Texts of added tokens, special and other; ids within tokens.size(), where
  // they take the place of what stands there.
  std::vector<AddedToken> added;
  std::vector<TextForm> normalizers;
  std::vector<PreTokenizerStep> pre_tokenizer;
  bool ignore_merges = false;  // a word that is a token is that token
  // Token for a byte that has none, -1: such bytes are dropped, as the
  // reference does.
  int unknown = -1;
  bool fuse_unknown = false;  // one token for several of them in a row
  int bos = -1;  // -1: taken from the special tokens' names, or none
  int eos = -1;
  std::vector<int> end_tokens;  // beside eos and the special tokens whose
                                // names say that they end a turn or a text
  bool adds_bos = false;
};

// Of a vocabulary of any kind; more than any model has.
inline constexpr size_t kMaxTokens = size_t{1} << 22;

// Types of tokens in GGUF and SentencePiece files.
enum class TokenType {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// GPT-2's alphabet: 256 printable characters that stand for the bytes.
std::string bytes_to_alphabet(std::string_view bytes);

// Whether special token `text` ends a turn or a text ("<|im_end|>", "</s>").
bool is_end_token_text(std::string_view text);

// Error kInput names vocabulary.where and what does not fit together.
std::unique_ptr<Tokenizer> make_byte_bpe(BpeVocabulary vocabulary);

}  // namespace selfalign::text
