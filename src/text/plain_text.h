// SPDX-License-Identifier: Apache-2.0
// Text that people give in files and lines: UTF-8, and nothing else, since a
// model reads bytes and shows none of the characters that were meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace selfalign::text {

struct TextFlaw {
  size_t line = 1;    // from 1
  size_t column = 1;  // in characters, from 1
  std::string found;  // "a NUL byte"
  std::string text;   // of a file: "expected text in UTF-8, found ...; ..."
};
// The first place that is not UTF-8, or a NUL byte, which no text has; UTF-16
// and UTF-32 are named as such.
std::optional<TextFlaw> find_flaw(std::string_view text);

// Error kInput "where:line:column: ..." if there is one.
void require_text(std::string_view text, const std::string& where);

// The same of a line that is typed or piped in, or of an argument: what is
// wrong with it, and at which character.
std::optional<std::string> find_line_flaw(std::string_view line);
// Error kInput "where: ..." if there is something.
void require_line(std::string_view line, const std::string& where);

// The text without a byte order mark; Error kInput as above.
std::string_view checked_text(std::string_view text, const std::string& where);

// The whole of what a person names, a file or a pipe, without a byte order
// mark; Error kInput as above.
std::string read_text(const std::string& path,
                      uint64_t max_bytes = uint64_t{1} << 30);

}  // namespace selfalign::text
