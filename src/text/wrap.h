// SPDX-License-Identifier: Apache-2.0
// Text for a person's eyes: lines broken at spaces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace selfalign::text {

// `text` in lines of at most `width` characters, each after `indent` and with
// a line break at its end; a longer word is cut. Lines of white space come out
// empty.
std::string wrap_text(std::string_view text, std::string_view indent,
                      size_t width);

// Characters of the text; each wrong sequence of bytes is one.
size_t num_characters(std::string_view text);

// One line of at most `width` characters: white space runs become a space, and
// what is cut off is "...".
std::string one_line(std::string_view text, size_t width);

}  // namespace selfalign::text
