// SPDX-License-Identifier: Apache-2.0
// SentencePiece's precompiled_charsmap: which bytes become which text when a
// text is normalised. A double array (Aoe 1989, in the layout of Darts-clone)
// of what is replaced, then the replacements, each with a 0 behind it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

class Charsmap {
 public:
  // No entry is longer than that, or becomes more.
  static constexpr size_t kMaxEntry = 256;
  static constexpr size_t kMaxReplacement = 256;

  // Error kInput names `where` and what is wrong with the sizes or the
  // replacements. What the double array leads to is checked as it is followed.
  Charsmap(std::string_view bytes, const std::string& where);
  Charsmap(const Charsmap&) = delete;  // matches point into it
  Charsmap& operator=(const Charsmap&) = delete;

  struct Match {
    size_t length;  // of what is replaced
    std::string_view replacement;
  };
  // The longest entry that `text` begins with, as SentencePiece takes it.
  std::optional<Match> longest(std::string_view text) const;
  // The shortest one, as HF's tokenizers takes it for all of `text`.
  std::optional<Match> shortest(std::string_view text) const;
  // What shortest() finds of one character below 0x80.
  const std::optional<Match>& of_ascii(unsigned char c) const {
    return ascii_[c];
  }

 private:
  std::optional<Match> find(std::string_view text, bool longest) const;
  std::string_view replacement(uint32_t at) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
  std::array<std::optional<Match>, 128> ascii_;
};

}  // namespace selfalign::text
