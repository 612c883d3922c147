// SPDX-License-Identifier: Apache-2.0
// Unicode over byte strings that may be anything: strict UTF-8 decoding (RFC
// 3629, Unicode table 3-7), character classes and normal forms by utf8proc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace selfalign::text {

struct Utf8Char {
  int32_t code;     // code point; -1: these bytes are not UTF-8
  uint32_t length;  // bytes; of a wrong sequence its longest right beginning
};
// The character at `pos` < text.size().
Utf8Char utf8_char(std::string_view text, size_t pos);
void append_utf8(std::string& out, int32_t code);

// Cuts `text` into longest stretches of valid UTF-8 and of invalid bytes and
// calls visit(stretch, valid) for each.
template <typename Visit>
void for_each_utf8_run(std::string_view text, Visit visit) {
  size_t begin = 0;
  bool valid = true;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    const bool is_valid = next.code >= 0;
    if (is_valid != valid) {
      if (pos > begin) visit(text.substr(begin, pos - begin), valid);
      begin = pos;
      valid = is_valid;
    }
    pos += next.length;
  }
  if (begin < text.size()) visit(text.substr(begin), valid);
}

// The start of the character that ends at `pos` > 0.
size_t char_before(std::string_view text, size_t pos);

// Calls visit for each extended grapheme cluster (UAX 29) of `text`, which is
// UTF-8.
void for_each_grapheme(std::string_view text,
                       const std::function<void(std::string_view)>& visit);

bool is_letter(int32_t code);       // L
bool is_number(int32_t code);       // N
bool is_mark(int32_t code);         // M
bool is_nonspacing(int32_t code);   // Mn
bool is_other(int32_t code);        // Cc, Cf, Co: controls and such
bool is_punctuation(int32_t code);  // P
bool is_symbol(int32_t code);       // S
// A word character by Unicode's UTS 18, annex C (\w of the reference's regular
// expressions): Alphabetic, M, Nd, Pc or Join_Control. "\u00B2" is none.
bool is_word(int32_t code);
bool is_space(int32_t code);  // property White_Space
// Shows nothing: white space, controls, format characters (joiners, soft
// hyphens, marks of byte order), fillers and all that may be left out of print.
bool is_invisible(int32_t code);
// Has no character that can be seen.
bool is_blank(std::string_view text);
// Han, Hiragana and Katakana: written without spaces between words.
bool is_unspaced(int32_t code);

// Lower case of one code point by the simple mapping.
int32_t lower_char(int32_t code);

enum class TextForm { kNfc, kNfd, kNfkc, kNfkd, kLower };
// Bytes that are not UTF-8 stay as they are.
std::string to_form(std::string_view text, TextForm form);

}  // namespace selfalign::text
