// SPDX-License-Identifier: Apache-2.0
#include "text/wrap.h"

#include "text/unicode.h"
#include "text/words.h"

namespace selfalign::text {
namespace {

// Bytes of the first `count` characters.
size_t bytes_of(std::string_view text, size_t count) {
  size_t pos = 0;
  for (; count > 0 && pos < text.size(); --count) {
    pos += utf8_char(text, pos).length;
  }
  return pos;
}

void wrap_line(std::string_view line, std::string_view indent, size_t width,
               std::string& out) {
  while (true) {
    size_t cut = bytes_of(line, width);
    if (cut < line.size() && line[cut] != ' ') {
      const size_t space = line.rfind(' ', cut);
      if (space != std::string_view::npos && space > 0) cut = space;
    }
    out.append(indent).append(line.substr(0, cut)) += '\n';
    if (cut >= line.size()) return;
    line.remove_prefix(line[cut] == ' ' ? cut + 1 : cut);
  }
}

}  // namespace

size_t num_characters(std::string_view text) {
  size_t count = 0;
  for (size_t pos = 0; pos < text.size(); ++count) {
    pos += utf8_char(text, pos).length;
  }
  return count;
}

std::string wrap_text(std::string_view text, std::string_view indent,
                      size_t width) {
  constexpr size_t kLeast = 10;
  const size_t room =
      width > indent.size() + kLeast ? width - indent.size() : kLeast;
  std::string out;
  for (const std::string_view line : split_lines(text)) {
    if (trim(line).empty()) {
      out += '\n';
    } else {
      wrap_line(line, indent, room, out);
    }
  }
  return out;
}

std::string one_line(std::string_view text, size_t width) {
  std::string line;
  bool gap = false;
  for (const char c : trim(text)) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space && gap) line += ' ';
    if (!space) line += c;
    gap = space;
  }
  constexpr std::string_view kMore = "...";
  const size_t whole = bytes_of(line, width);
  if (whole >= line.size()) return line;
  const size_t kept = width > kMore.size() ? width - kMore.size() : 0;
  return line.substr(0, bytes_of(line, kept)).append(kMore);
}

}  // namespace selfalign::text
