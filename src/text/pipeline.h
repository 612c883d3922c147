// SPDX-License-Identifier: Apache-2.0
// The way of a text through a tokenizer.json: added tokens are cut out, the
// rest is normalised and cut into words, a model makes tokens of each word, and
// a decoder makes text of tokens. Words seen before come from a bounded cache.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/word_model.h"

namespace selfalign::text {

struct PipelineParts {
  std::string where;                // the file, for errors
  std::vector<std::string> tokens;  // by id, as the file has them; "": a hole
  // Texts of added tokens, special and other; ids within tokens.size(), where
  // they take the place of what stands there.
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizers;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<DecoderStep> decoder;  // none: tokens are the text
  int bos = -1;  // -1: taken from the special tokens' names, or none
  int eos = -1;
  std::vector<int> end_tokens;  // beside eos and the special tokens whose
                                // names say that they end a turn or a text
  bool adds_bos = false;
};

// Of a vocabulary of any kind; more than any model has.
inline constexpr size_t kMaxTokens = size_t{1} << 22;

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
using TokenIds =
    std::unordered_map<std::string, int, TextHash, std::equal_to<>>;

// Ids by text, of added tokens where there are two. Error kInput names what is
// wrong with their number and the ids of added tokens.
std::shared_ptr<const TokenIds> ids_of_tokens(const PipelineParts& parts);
int id_of_token(const TokenIds& ids, std::string_view text);  // -1: none

// Error kInput: a vocabulary that does not fit together.
[[noreturn]] void fail_vocabulary(const std::string& where,
                                  const std::string& found);

// Whether special token `text` ends a turn or a text ("<|im_end|>", "</s>").
bool is_end_token_text(std::string_view text);

// Error kInput names parts.where and what does not fit together.
std::unique_ptr<Tokenizer> make_pipeline(PipelineParts parts,
                                         std::shared_ptr<const TokenIds> ids,
                                         std::unique_ptr<WordModel> model);

}  // namespace selfalign::text
