// SPDX-License-Identifier: Apache-2.0
// What is known of a terminal, how wide text is on it, and how text from
// anywhere (a model, a server, a file, a name) is made safe for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace selfalign {

// Whether the descriptor is a terminal that is wanted with escape sequences:
// TERM names one other than "dumb", and NO_COLOR is not set.
bool takes_escapes(int descriptor);
// Whether a line on it can be written over after a carriage return: any
// terminal that TERM names, other than "dumb".
bool rewrites_lines(int descriptor);
// Columns; 80 where it is no terminal or does not say.
size_t screen_width(int descriptor);

// Characters that a terminal or a page obeys instead of showing them: control
// characters (C0 but tab and line feed, DEL, C1), those that turn the direction
// of the text around them (UAX #9), line and paragraph separators, invisible
// tags (U+E0000 to U+E007F).
bool is_unsafe(int32_t code_point);
// `text` with U+FFFD in place of what is_unsafe and of bytes that are no UTF-8;
// a carriage return before a line feed is left out. All that is written to
// stdout and stderr goes through here (log.h, cli/lines.h), so nobody else
// needs to.
std::string screen_text(std::string_view text);
// The same JSON with what is_unsafe as \uXXXX: it reads as the same data.
std::string screen_json(std::string_view json);

// Columns that `text` takes: two for wide characters, none for combining ones.
size_t display_width(std::string_view text);
// The longest beginning of whole characters that takes at most `width` columns.
std::string cut_to_width(std::string_view text, size_t width);

}  // namespace selfalign
