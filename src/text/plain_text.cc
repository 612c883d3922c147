// SPDX-License-Identifier: Apache-2.0
#include "text/plain_text.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/not_utf8.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

constexpr std::string_view kMark = "\xef\xbb\xbf";  // byte order mark

// Half of the bytes of Latin text in UTF-16 are NUL, and more in UTF-32.
bool is_wide(std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return true;
  const std::string_view start = text.substr(0, 4);
  return start.size() == 4 && std::count(start.begin(), start.end(), '\0') >= 2;
}

std::string what_is(std::string_view text, size_t at) {
  if (is_wide(text)) return "UTF-16 or UTF-32";
  if (text[at] == '\0') return "a NUL byte";
  return byte_not_utf8(text[at]);
}

}  // namespace

std::optional<TextFlaw> find_flaw(std::string_view text) {
  TextFlaw flaw;
  for (size_t at = text.starts_with(kMark) ? kMark.size() : 0;
       at < text.size();) {
    const Utf8Char next = utf8_char(text, at);
    if (next.code <= 0) {
      flaw.found = what_is(text, at);
      flaw.text =
          str("expected text in UTF-8, found ", flaw.found,
              text[at] == '\0' ? "; remove it, or save the file in UTF-8"
                               : "; save the file in UTF-8");
      return flaw;
    }
    ++flaw.column;
    if (next.code == '\n') {
      ++flaw.line;
      flaw.column = 1;
    }
    at += next.length;
  }
  return std::nullopt;
}

void require_text(std::string_view text, const std::string& where) {
  const auto flaw = find_flaw(text);
  if (!flaw) return;
  throw Error(ErrorKind::kInput,
              str(where, ":", flaw->line, ":", flaw->column, ": ", flaw->text));
}

std::optional<std::string> find_line_flaw(std::string_view line) {
  const auto flaw = find_flaw(line);
  if (!flaw) return std::nullopt;
  return str("expected text in UTF-8, found ", flaw->found, " at character ",
             flaw->column, "; give the line without it, in UTF-8");
}

void require_line(std::string_view line, const std::string& where) {
  const auto flaw = find_line_flaw(line);
  if (flaw) throw Error(ErrorKind::kInput, where + ": " + *flaw);
}

std::string_view checked_text(std::string_view text, const std::string& where) {
  require_text(text, where);
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

std::string read_text(const std::string& path, uint64_t max_bytes) {
  return std::string(checked_text(read_input(path, max_bytes), path));
}

}  // namespace selfalign::text
