// SPDX-License-Identifier: Apache-2.0
// What is said of text that is not UTF-8, the same for every kind of file.
#pragma once

#include <string>

namespace selfalign {

// "the byte 0xe9 (perhaps ...)"
inline std::string byte_not_utf8(char byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  return std::string("the byte 0x") + kDigits[value >> 4] +
         kDigits[value & 15] + " (perhaps Latin-1 or Windows-1252)";
}

// "expected text in UTF-8, found the byte 0xe9 (perhaps ...); save ..."
inline std::string not_utf8(char byte) {
  return "expected text in UTF-8, found " + byte_not_utf8(byte) +
         "; save the file in UTF-8";
}

}  // namespace selfalign
