// SPDX-License-Identifier: Apache-2.0
// What a message shows of a name or a value from a file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace selfalign {

// Blanks in place of line breaks and tabs, U+FFFD in that of other control
// characters: a message has one line, whatever a file says.
inline std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (!is_control) {
      line += c;
    } else {
      line += c == '\n' || c == '\r' || c == '\t' ? " " : "\xef\xbf\xbd";
    }
  }
  return line;
}

// The text, or of a longer one its first whole characters and "...".
inline std::string beginning_of(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  size_t end = max_bytes;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

inline std::string shown(std::string_view text, size_t max_bytes = 40) {
  return on_one_line(beginning_of(text, max_bytes));
}

}  // namespace selfalign
