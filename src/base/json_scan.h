// SPDX-License-Identifier: Apache-2.0
// A look over the text of JSON without parsing it.
#pragma once

#include <cstddef>
#include <string_view>

namespace selfalign {

// Calls `look` with the place of every byte outside strings, and of the quote
// that begins one, until it returns true; that place, or npos.
template <typename Look>
size_t find_outside_strings(std::string_view text, const Look& look) {
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (look(i)) {
      return i;
    } else {
      in_string = c == '"';
    }
  }
  return std::string_view::npos;
}

}  // namespace selfalign
