// SPDX-License-Identifier: Apache-2.0
#include "report/markup.h"

#include <algorithm>

#include "base/screen.h"
#include "text/unicode.h"

namespace selfalign::report {
namespace {

constexpr int32_t kReplacement = 0xfffd;

bool is_harmful(int32_t code) {
  const bool none = (code & 0xfffe) == 0xfffe ||
                    (code >= 0xfdd0 && code <= 0xfdef) || code == 0xfeff;
  return is_unsafe(code) || none;
}

}  // namespace

std::string clean_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const text::Utf8Char next = text::utf8_char(text, pos);
    // A line break of another system is one line feed.
    if (next.code == '\r') {
      if (text.substr(pos + 1, 1) != "\n") out += '\n';
    } else {
      text::append_utf8(out, is_harmful(next.code) ? kReplacement : next.code);
    }
    pos += next.length;
  }
  return out;
}

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : clean_text(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string markdown_text(std::string_view text) {
  static constexpr std::string_view kMarks = "\\`*_{}[]<>#|~!&";
  std::string out;
  for (const char c : clean_text(text)) {
    if (c == '\n' || c == '\t') {
      out += ' ';
      continue;
    }
    if (kMarks.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string markdown_block(std::string_view text) {
  const std::string clean = clean_text(text);
  size_t longest = 2;
  for (size_t i = 0, run = 0; i < clean.size(); ++i) {
    run = clean[i] == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return fence + "text\n" + clean + "\n" + fence + "\n";
}

std::string shorten(std::string_view text, size_t max_chars) {
  size_t pos = 0;
  for (size_t count = 0; pos < text.size(); ++count) {
    if (count == max_chars) return std::string(text.substr(0, pos)) + "…";
    pos += text::utf8_char(text, pos).length;
  }
  return std::string(text);
}

}  // namespace selfalign::report
