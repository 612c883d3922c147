// SPDX-License-Identifier: Apache-2.0
// How few tokens a text may have, told from its bytes alone: what cannot fit a
// context is refused before it is tokenized.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace selfalign::text {

struct TokenBound {
  // Bytes that are part of a token wherever they stand; others may be dropped
  // or be one token together, however many they are.
  std::array<bool, 256> counts = {};
  // The most of these bytes that one token stands for; 0: nothing is known.
  size_t max_bytes = 0;

  size_t min_tokens(std::string_view text) const {
    if (max_bytes == 0) return 0;
    const auto bytes = static_cast<size_t>(std::count_if(
        text.begin(), text.end(),
        [this](char c) { return counts[static_cast<unsigned char>(c)]; }));
    return (bytes + max_bytes - 1) / max_bytes;
  }
};

// A normal form or lower case makes of so many bytes at least one.
constexpr size_t kMaxFormShrink = 4;

}  // namespace selfalign::text
