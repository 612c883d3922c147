// SPDX-License-Identifier: Apache-2.0
// What makes token ids of one word, or of a whole text that nothing cuts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/token_bound.h"

namespace selfalign::text {

// No piece of a SentencePiece or Unigram vocabulary is longer, so that neither
// splitting them nor looking for them takes more than linear time.
inline constexpr size_t kMaxPieceBytes = 512;

class WordModel {
 public:
  virtual ~WordModel() = default;

  // Appends the ids of a word, which is not empty and may be any bytes.
  // Thread-safe.
  virtual void encode(std::string_view word, std::vector<int>& ids) const = 0;
  // What is known of the number of ids, by the bytes of words.
  virtual TokenBound bound() const = 0;
  // No token holds this and something other than it before it: a word may be
  // cut there. "": nothing is known.
  virtual std::string_view border() const { return ""; }
};

// Calls visit for the parts of a word that its model may take one by one.
template <typename Visit>
void for_each_part(std::string_view word, std::string_view border,
                   Visit visit) {
  size_t begin = 0;
  while (!border.empty() && begin < word.size()) {
    size_t at = begin;
    while (word.substr(at).starts_with(border)) at += border.size();
    const size_t end = word.find(border, at);
    if (end == std::string_view::npos) break;
    if (end > begin) visit(word.substr(begin, end - begin));
    begin = end;
  }
  if (begin < word.size()) visit(word.substr(begin));
}

}  // namespace selfalign::text
