// SPDX-License-Identifier: Apache-2.0
#include "text/alphabet.h"

#include <array>
#include <cstdint>
#include <unordered_map>

#include "text/unicode.h"

namespace selfalign::text {
namespace {

// Printable Latin-1 characters stand for themselves, the other bytes in order
// for U+0100 and on.
struct ByteAlphabet {
  std::array<std::string, 256> text;
  std::unordered_map<int32_t, unsigned char> byte;

  ByteAlphabet() {
    int32_t next = 256;
    for (int32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b != 173);
      const int32_t code = printable ? b : next++;
      append_utf8(text[static_cast<size_t>(b)], code);
      byte[code] = static_cast<unsigned char>(b);
    }
  }
};
const ByteAlphabet& alphabet() {
  static const ByteAlphabet instance;
  return instance;
}

}  // namespace

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += alphabet().text[static_cast<unsigned char>(c)];
  }
  return out;
}

std::string alphabet_to_bytes(const std::string& text) {
  std::string bytes;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char next = utf8_char(text, pos);
    const auto found = alphabet().byte.find(next.code);
    if (found == alphabet().byte.end()) return text;
    bytes += static_cast<char>(found->second);
    pos += next.length;
  }
  return bytes;
}

}  // namespace selfalign::text
