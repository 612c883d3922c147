// SPDX-License-Identifier: Apache-2.0
#include "text/charsmap.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

// A unit of the array: where its longer entries are, whether one ends here,
// and the byte that leads to it; or, with the topmost bit, the value of an
// entry that ended.
bool has_value(uint32_t unit) { return (unit >> 8 & 1) == 1; }
uint32_t value_of(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000FF; }
uint32_t offset_of(uint32_t unit) {
  return (unit >> 10) << ((unit & (1U << 9)) >> 6);
}

uint32_t number_at(std::string_view bytes, size_t at) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) {
    number |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return number;
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& where) {
  const auto fail = [&](const std::string& expected, const std::string& found) {
    throw Error(ErrorKind::kInput,
                str(where, ": expected a precompiled_charsmap with ", expected,
                    ", found ", found, "; get the model's files again"));
  };
  constexpr size_t kHead = 4;
  const size_t size = bytes.size() < kHead ? 0 : number_at(bytes, 0);
  if (size == 0 || size % 4 != 0 || size > bytes.size() - kHead) {
    fail("the size of its table before it",
         str(size, " of ", bytes.size(), " bytes"));
  }
  for (size_t at = kHead; at < kHead + size; at += 4) {
    units_.push_back(number_at(bytes, at));
  }
  replacements_ = bytes.substr(kHead + size);
  size_t length = 0, longest = 0;
  for (size_t pos = 0; pos < replacements_.size();) {
    const Utf8Char next = utf8_char(replacements_, pos);
    if (next.code < 0) fail("UTF-8", str("other bytes at ", pos));
    length = next.code == 0 ? 0 : length + next.length;
    longest = std::max(longest, length);
    pos += next.length;
  }
  if (longest > kMaxReplacement) {
    fail(str("replacements of at most ", kMaxReplacement, " bytes"),
         str(longest));
  }
  for (size_t c = 0; c < ascii_.size(); ++c) {
    const char text = static_cast<char>(c);
    ascii_[c] = shortest({&text, 1});
  }
}

std::string_view Charsmap::replacement(uint32_t at) const {
  const std::string_view all = replacements_;
  if (at >= all.size()) return "";
  return all.substr(at, all.find('\0', at) - at);
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text,
                                              bool longest) const {
  std::optional<Match> found;
  size_t at = offset_of(units_[0]);
  for (size_t i = 0; i < std::min(text.size(), kMaxEntry); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || label_of(units_[at]) != byte) break;
    const uint32_t unit = units_[at];
    at ^= offset_of(unit);
    if (!has_value(unit) || at >= units_.size()) continue;
    found = Match{i + 1, replacement(value_of(units_[at]))};
    if (!longest) break;
  }
  return found;
}

std::optional<Charsmap::Match> Charsmap::longest(std::string_view text) const {
  return find(text, true);
}

std::optional<Charsmap::Match> Charsmap::shortest(std::string_view text) const {
  return find(text, false);
}

}  // namespace selfalign::text
