// SPDX-License-Identifier: Apache-2.0
// What a JSON value is to this program.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>

namespace selfalign {

using Json = nlohmann::ordered_json;

// Of one text: a vocabulary of a million tokens and its merges. A value takes
// up to some hundred bytes of memory, and as little as two of a text.
inline constexpr size_t kMaxJsonValues = size_t{1} << 22;

}  // namespace selfalign
