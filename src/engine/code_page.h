// SPDX-License-Identifier: Apache-2.0
// A CodePage in one piece of memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels.h"

namespace selfalign::engine {

// The page at `at`, which is aligned as floats are.
inline CodePage code_page(std::byte* at, int64_t dim) {
  std::byte* rest = at + 2 * kPageKeys * dim;
  const auto floats = [&](int64_t i) {
    return reinterpret_cast<float*>(rest) + i;
  };
  const auto numbers = [&](int64_t i) {
    return reinterpret_cast<int32_t*>(rest) + i;
  };
  return {.keys = reinterpret_cast<int8_t*>(at),
          .values = reinterpret_cast<int8_t*>(at) + kPageKeys * dim,
          .key_scales = floats(0),
          .key_offsets = numbers(kPageKeys),
          .value_scales = floats(2 * kPageKeys),
          .value_offsets = numbers(2 * kPageKeys + dim)};
}

}  // namespace selfalign::engine
