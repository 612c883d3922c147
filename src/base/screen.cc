// SPDX-License-Identifier: Apache-2.0
#include "base/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

namespace selfalign {
namespace {

struct Character {
  size_t length;          // bytes
  size_t width;           // columns
  utf8proc_int32_t code;  // -1: no UTF-8
};

// The first character of `text`; a wrong byte is one of one column.
Character first_character(std::string_view text) {
  utf8proc_int32_t code = 0;
  const auto length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (length <= 0) return {1, 1, -1};
  return {static_cast<size_t>(length),
          static_cast<size_t>(std::max(utf8proc_charwidth(code), 0)), code};
}

// As JSON writes it (RFC 8259, section 7): beyond 16 bits as two.
std::string json_escape(uint32_t code) {
  constexpr char kDigits[] = "0123456789abcdef";
  if (code > 0xffff) {
    const uint32_t rest = code - 0x10000;
    return json_escape(0xd800 | rest >> 10) +
           json_escape(0xdc00 | (rest & 0x3ff));
  }
  std::string out = "\\u";
  for (const int shift : {12, 8, 4, 0}) out += kDigits[code >> shift & 15];
  return out;
}

bool is_plain(char c) { return c >= ' ' && c < '\x7f'; }

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

bool rewrites_lines(int descriptor) {
  const char* term = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && term != nullptr && *term != '\0' &&
         std::string_view(term) != "dumb";
}

bool takes_escapes(int descriptor) {
  return rewrites_lines(descriptor) && !is_set("NO_COLOR");
}

size_t screen_width(int descriptor) {
  constexpr size_t kUsual = 80;
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kUsual;
  }
  return size.ws_col;
}

bool is_unsafe(int32_t code) {
  if (code < 0x20) return code != '\n' && code != '\t';
  return (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e ||
         code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) ||
         (code >= 0xe0000 && code <= 0xe007f);
}

std::string screen_text(std::string_view text) {
  constexpr char kReplacement[] = "\xef\xbf\xbd";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character next =
        is_plain(text[0]) ? Character{1, 1, text[0]} : first_character(text);
    if (!is_unsafe(next.code)) {
      out += text.substr(0, next.length);
    } else if (!text.starts_with("\r\n")) {
      out += kReplacement;
    }
    text.remove_prefix(next.length);
  }
  return out;
}

std::string screen_json(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const Character next =
        is_plain(json[0]) ? Character{1, 1, json[0]} : first_character(json);
    if (next.code > 0x20 && is_unsafe(next.code)) {
      out += json_escape(static_cast<uint32_t>(next.code));
    } else {
      out += json.substr(0, next.length);
    }
    json.remove_prefix(next.length);
  }
  return out;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Character next = first_character(text);
    width += next.width;
    text.remove_prefix(next.length);
  }
  return width;
}

std::string cut_to_width(std::string_view text, size_t width) {
  size_t end = 0;
  for (size_t taken = 0; end < text.size();) {
    const Character next = first_character(text.substr(end));
    taken += next.width;
    if (taken > width) break;
    end += next.length;
  }
  return std::string(text.substr(0, end));
}

}  // namespace selfalign
