// What is known of a terminal, and how wide text is on it.
#pragma once

#include <cstddef>
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

// Columns that `text` takes: two for wide characters, none for combining ones.
size_t display_width(std::string_view text);
// The longest beginning of whole characters that takes at most `width` columns.
std::string cut_to_width(std::string_view text, size_t width);

}  // namespace selfalign
