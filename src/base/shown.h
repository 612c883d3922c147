// SPDX-License-Identifier: Apache-2.0
// What a message shows of a name or a value from a file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace selfalign {

// The text, or of a longer one its first whole characters and "...".
inline std::string shown(std::string_view text, size_t max_bytes = 40) {
  if (text.size() <= max_bytes) return std::string(text);
  size_t end = max_bytes;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace selfalign
