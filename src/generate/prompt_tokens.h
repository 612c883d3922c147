// SPDX-License-Identifier: Apache-2.0
// The token ids of a request's prompt: what the engine feeds, the server counts
// and training samples are held against.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "generate/generator.h"
#include "text/tokenizer.h"

namespace selfalign::generate {

struct PromptTokens {
  std::vector<int> ids;
  // Before it stand BOS and the tokens that are the prefix's alone, which
  // requests with the same prefix share as far as they go on alike.
  size_t suffix_begin = 0;
  bool has_prefix = false;  // tokens of one stand there
};

// BOS where the tokenizer adds it, then prefix and suffix as one text up to the
// first of Request::cuts, then each further piece as a text that goes on. The
// ids of prompt_tokens stay as they are. May be empty.
PromptTokens tokenize_prompt(const Request& request,
                             const text::Tokenizer& tokenizer);

// A number of tokens that those of tokenize_prompt() never stay below; see
// Tokenizer::min_tokens.
size_t min_prompt_tokens(const Request& request,
                         const text::Tokenizer& tokenizer);

// The pieces of a text one after the other, in the same way: the first that is
// not empty starts the text, the others go on with it.
class PieceTokenizer {
 public:
  explicit PieceTokenizer(const text::Tokenizer& tokenizer)
      : tokenizer_(tokenizer) {}

  std::vector<int> next(std::string_view piece);
  void go_on() { started_ = true; }  // the text was started elsewhere

 private:
  const text::Tokenizer& tokenizer_;
  bool started_ = false;
};

}  // namespace selfalign::generate
