// SPDX-License-Identifier: Apache-2.0
// Text from anywhere, also from a model, for HTML and Markdown: what comes out
// is valid UTF-8 without control characters and is never markup.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace selfalign::report {

// Valid UTF-8; control characters but tab and line feed, and characters that
// turn the direction of the text around them, become U+FFFD.
std::string clean_text(std::string_view text);
// clean_text for HTML's text and attributes in double quotes.
std::string html_text(std::string_view text);
// clean_text on one line of Markdown, its marks escaped; may stand in a table.
std::string markdown_text(std::string_view text);
// clean_text as a fenced block of Markdown, the fence longer than any inside.
std::string markdown_block(std::string_view text);
// The longest beginning of at most `max_chars` code points; "…" where cut.
std::string shorten(std::string_view text, size_t max_chars);

}  // namespace selfalign::report
