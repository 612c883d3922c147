#include "text/plain_text.h"

#include "base/error.h"
#include "base/file.h"
#include "base/not_utf8.h"
#include "text/unicode.h"

namespace selfalign::text {
namespace {

constexpr std::string_view kMark = "\xef\xbb\xbf";  // byte order mark

// Half of the bytes of Latin text in UTF-16 are NUL.
bool is_wide(std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return true;
  const std::string_view start = text.substr(0, 4);
  return start.size() == 4 &&
         ((start[0] == '\0') != (start[1] == '\0') || start[2] == '\0');
}

std::string flaw_text(std::string_view text, size_t at) {
  const std::string found = "expected text in UTF-8, found ";
  if (is_wide(text)) {
    return found + "UTF-16 or UTF-32; save the file in UTF-8";
  }
  if (text[at] == '\0') {
    return found + "a NUL byte; remove it, or save the file in UTF-8";
  }
  return not_utf8(text[at]);
}

}  // namespace

std::optional<TextFlaw> find_flaw(std::string_view text) {
  TextFlaw flaw;
  for (size_t at = text.starts_with(kMark) ? kMark.size() : 0;
       at < text.size();) {
    const Utf8Char next = utf8_char(text, at);
    if (next.code <= 0) {
      flaw.text = flaw_text(text, at);
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

std::string_view checked_text(std::string_view text, const std::string& where) {
  require_text(text, where);
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

std::string read_text(const std::string& path, uint64_t max_bytes) {
  return std::string(checked_text(read_file(path, max_bytes), path));
}

}  // namespace selfalign::text
