// SPDX-License-Identifier: Apache-2.0
// Small operations on text that every layer above needs. All take any bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace selfalign::text {

// Number of longest runs of characters that are not white space.
size_t count_words(std::string_view text);

bool is_valid_utf8(std::string_view bytes);
// Every wrong sequence (its longest right beginning, at least one byte)
// becomes one U+FFFD.
std::string fix_utf8(std::string_view bytes);
// Length of the longest beginning that does not end inside a UTF-8 character:
// what a stream may show now. Bytes that can never become a character count
// as complete.
size_t complete_utf8_prefix_length(std::string_view bytes);

// Without Unicode white space at both ends.
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);
// Lines without their "\n" or "\r\n"; no empty line after a final line break.
std::vector<std::string_view> split_lines(std::string_view text);
// Least number of bytes to insert, drop or replace that makes one the other.
size_t edit_distance(std::string_view a, std::string_view b);
// Of `known`, the text with the smallest edit distance to `word` (the first on
// a tie); "" if none is so near that it may have been meant: more than a third
// of the letters differ, and more than one.
std::string nearest(const std::string& word,
                    const std::vector<std::string>& known);
// "; did you mean "temperature"?" of the nearest; "" if there is none.
std::string did_you_mean(const std::string& word,
                         const std::vector<std::string>& known);

}  // namespace selfalign::text
