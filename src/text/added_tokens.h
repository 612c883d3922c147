// Added tokens: texts that are one token wherever they stand, found before
// anything else looks at the text ("<|im_end|>").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
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

class AddedTokenFinder {
 public:
  // A stretch of text between tokens (id -1), or a token.
  struct Piece {
    std::string_view text;
    int id = -1;
  };

  void add(const AddedToken& token);
  bool empty() const { return tokens_.empty(); }
  // Cuts `text` from left to right, the longest token first, as HF's tokenizers
  // library does: a token that may not stand where it is found is text.
  std::vector<Piece> cut(std::string_view text, bool parse_special) const;

 private:
  const AddedToken* find_at(std::string_view text, size_t pos) const;

  std::map<std::string, AddedToken, std::less<>> tokens_;
  // By first byte: lengths of the tokens that begin with it, longest first.
  std::array<std::vector<size_t>, 256> lengths_;
};

}  // namespace selfalign::text
