// SPDX-License-Identifier: Apache-2.0
#include "generate/prompt_tokens.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace selfalign::generate {
namespace {

std::vector<std::string_view> pieces_of(const Request& request) {
  const std::string_view suffix = request.suffix;
  std::vector<std::string_view> pieces;
  size_t begin = 0;
  for (const size_t cut : request.cuts) {
    SELFALIGN_CHECK(cut >= begin && cut <= suffix.size());
    pieces.push_back(suffix.substr(begin, cut - begin));
    begin = cut;
  }
  pieces.push_back(suffix.substr(begin));
  return pieces;
}

void append(const std::vector<int>& more, std::vector<int>& ids) {
  ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

std::vector<int> PieceTokenizer::next(std::string_view piece) {
  if (piece.empty()) return {};
  if (started_) return tokenizer_.encode_continuation(piece);
  started_ = true;
  return tokenizer_.encode(piece);
}

PromptTokens tokenize_prompt(const Request& request,
                             const text::Tokenizer& tokenizer) {
  if (request.tokenized != nullptr) return *request.tokenized;
  PromptTokens prompt;
  if (!request.prompt_tokens.empty()) {
    prompt.ids = request.prompt_tokens;
    return prompt;
  }
  if (tokenizer.adds_bos()) prompt.ids.push_back(tokenizer.bos());
  prompt.suffix_begin = prompt.ids.size();
  const std::vector<std::string_view> pieces = pieces_of(request);
  PieceTokenizer tokens(tokenizer);
  size_t next = 0;
  if (request.prefix != nullptr && !request.prefix->empty()) {
    const text::TokenPair pair =
        text::encode_pair(tokenizer, *request.prefix, pieces[next++]);
    append(pair.head, prompt.ids);
    prompt.suffix_begin = prompt.ids.size();
    prompt.has_prefix = !pair.head.empty();
    append(pair.tail, prompt.ids);
    tokens.go_on();
  }
  for (; next < pieces.size(); ++next) {
    append(tokens.next(pieces[next]), prompt.ids);
  }
  return prompt;
}

// Whatever the pieces are: a token is of one of them, or of prefix and suffix.
size_t min_prompt_tokens(const Request& request,
                         const text::Tokenizer& tokenizer) {
  if (!request.prompt_tokens.empty()) return request.prompt_tokens.size();
  const size_t num_bos = tokenizer.adds_bos() ? 1 : 0;
  return num_bos +
         std::max(request.prefix ? tokenizer.min_tokens(*request.prefix) : 0,
                  tokenizer.min_tokens(request.suffix));
}

}  // namespace selfalign::generate
