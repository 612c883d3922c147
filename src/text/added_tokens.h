// SPDX-License-Identifier: Apache-2.0
// Added tokens: texts that are one token wherever they stand, found before
// anything else looks at the text ("<|im_end|>").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

struct AddedToken {
  int id = -1;
  std::string text;
  bool special = false;      // found only where special tokens are asked for
  bool normalized = false;   // looked for in the normalised text
  bool lstrip = false;       // takes white space before it along
  bool rstrip = false;       // and after it
  bool single_word = false;  // no word character (is_word) beside it
};

// Aho and Corasick 1975 over the texts read backwards, so that each place knows
// the longest token that begins there: cutting takes time linear in the text,
// however many tokens there are and however they begin, and making it time
// linear in theirs (but for sorting).
class AddedTokenFinder {
 public:
  // A stretch of text between tokens (id -1), or a token.
  struct Piece {
    std::string_view text;
    int id = -1;
  };

  AddedTokenFinder() = default;
  // Of two tokens of one text the first counts; those of no text are left out.
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }
  // Cuts `text` from left to right, the longest token first, as HF's tokenizers
  // library does: a token that may not stand where it is found is text.
  std::vector<Piece> cut(std::string_view text, bool parse_special) const;

 private:
  // A suffix of tokens. Those that are longer by a byte lie side by side.
  struct State {
    uint32_t first_longer = 0;
    uint32_t num_longer = 0;
    uint32_t fallback = 0;   // its longest beginning that is a state
    int32_t token = -1;      // the longest that it begins with, -1: none
    unsigned char byte = 0;  // its first
  };

  void add_states();
  void link(uint32_t state);
  uint32_t next(uint32_t state, unsigned char byte) const;
  // For each place the token that begins there, -1: none.
  std::vector<int32_t> find_all(std::string_view text) const;

  std::vector<AddedToken> tokens_;  // sorted by their texts, backwards
  std::vector<State> states_;       // breadth first, [0] is the empty one
  std::array<bool, 256> begins_{};  // bytes that tokens begin with
};

}  // namespace selfalign::text
