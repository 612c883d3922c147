// SPDX-License-Identifier: Apache-2.0
// Numbers in text from outside. All that is read goes through here
// (tools/lint.py): the whole text is the number, in decimal digits and without
// blanks or a plus sign, and it is in its range. Not affected by the locale.
#pragma once

#include <charconv>
#include <cstdint>
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

// Nothing where `text` is no number up to `high` in digits of `base`, of either
// case.
inline std::optional<uint32_t> parse_digits(std::string_view text, int base,
                                            uint32_t high) {
  uint32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value, base);
  if (problem != std::errc() || stop != end || value > high)
    return std::nullopt;
  return value;
}

// The byte that two hexadecimal digits stand for.
inline std::optional<unsigned char> parse_hex_byte(std::string_view text) {
  const auto value = parse_digits(text, 16, 255);
  if (text.size() != 2 || !value) return std::nullopt;
  return static_cast<unsigned char>(*value);
}

}  // namespace selfalign
