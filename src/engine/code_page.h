// SPDX-License-Identifier: Apache-2.0
// Pages of keys and values as whole numbers of 8 bits (CodePage), in one piece
// of memory each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels.h"

namespace selfalign::engine {

constexpr int64_t code_page_bytes(int64_t dim) {
  return 2 * kPageKeys * dim + (kPageKeys + dim) * 8;
}

// The page at `at`, which is aligned as floats are.
CodePage code_page(const std::byte* at, int64_t dim);

// Rounds a full page: packed keys [dim, kPageKeys] and values [kPageKeys, dim].
// A key has one scale, after it was rotated as a query is; a number of the
// head has one in all values of the page. `to` takes code_page_bytes(dim).
template <typename T>
void encode_page(const T* keys, const T* values, int64_t dim, std::byte* to);

}  // namespace selfalign::engine
