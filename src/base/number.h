// Numbers in text from outside. All that is read goes through here
// (tools/lint.py): the whole text is the number, in decimal digits and without
// blanks or a plus sign, and it is in its range. Not affected by the locale.
#pragma once

#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <system_error>

namespace selfalign {

// Nothing where `text` is no number from `low` to `high`, both included; never
// infinite or not a number.
template <typename Number>
std::optional<Number> parse_number(
    std::string_view text, Number low = std::numeric_limits<Number>::lowest(),
    Number high = std::numeric_limits<Number>::max()) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem != std::errc() || stop != end || !(value >= low && value <= high))
    return std::nullopt;
  return value;
}

// The byte that two hexadecimal digits, of either case, stand for.
inline std::optional<unsigned char> parse_hex_byte(std::string_view text) {
  unsigned char value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value, 16);
  if (text.size() != 2 || problem != std::errc() || stop != end)
    return std::nullopt;
  return value;
}

}  // namespace selfalign
