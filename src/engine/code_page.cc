// SPDX-License-Identifier: Apache-2.0
#include "engine/code_page.h"

#include <vector>

#include "engine/packed_int8.h"
#include "model/rounding.h"

namespace selfalign::engine {
namespace {

// A column of a packed matrix, rounded: codes to a block of codes, and a scale
// and 128 times the sum of its codes.
void put_column(const std::vector<float>& column, int64_t index, int8_t* codes,
                float* scales, int32_t* offsets) {
  const auto depth = static_cast<int64_t>(column.size());
  std::vector<int8_t> rounded(column.size());
  scales[index] = model::round_whole_row(column.data(), depth, rounded.data());
  int32_t sum = 0;
  for (int64_t k = 0; k < depth; ++k) {
    const int8_t code = rounded[static_cast<size_t>(k)];
    codes[index / kBlock * kBlock * depth + code_index(k, index % kBlock)] =
        code;
    sum += code;
  }
  offsets[index] = 128 * sum;
}

}  // namespace

CodePage code_page(const std::byte* at, int64_t dim) {
  const std::byte* rest = at + 2 * kPageKeys * dim;
  const auto floats = [&](int64_t i) {
    return reinterpret_cast<const float*>(rest) + i;
  };
  const auto numbers = [&](int64_t i) {
    return reinterpret_cast<const int32_t*>(rest) + i;
  };
  return {.keys = reinterpret_cast<const int8_t*>(at),
          .values = reinterpret_cast<const int8_t*>(at) + kPageKeys * dim,
          .key_scales = floats(0),
          .key_offsets = numbers(kPageKeys),
          .value_scales = floats(2 * kPageKeys),
          .value_offsets = numbers(2 * kPageKeys + dim)};
}

template <typename T>
void encode_page(const T* keys, const T* values, int64_t dim, std::byte* to) {
  auto* const key_codes = reinterpret_cast<int8_t*>(to);
  int8_t* const value_codes = key_codes + kPageKeys * dim;
  auto* const key_scales = reinterpret_cast<float*>(to + 2 * kPageKeys * dim);
  auto* const key_offsets = reinterpret_cast<int32_t*>(key_scales + kPageKeys);
  auto* const value_scales = reinterpret_cast<float*>(key_offsets + kPageKeys);
  auto* const value_offsets = reinterpret_cast<int32_t*>(value_scales + dim);
  // Element (k, j) of a packed matrix.
  const auto element = [](const T* packed, int64_t depth, int64_t k,
                          int64_t j) {
    return to_float(
        packed[j / kBlock * kBlock * depth + packed_index<T>(k, j % kBlock)]);
  };
  std::vector<float> column(static_cast<size_t>(dim));
  for (int64_t j = 0; j < kPageKeys; ++j) {
    for (int64_t k = 0; k < dim; ++k) {
      column[static_cast<size_t>(k)] = element(keys, dim, k, j);
    }
    rotate(column.data(), dim);
    put_column(column, j, key_codes, key_scales, key_offsets);
  }
  column.resize(kPageKeys);
  for (int64_t j = 0; j < dim; ++j) {
    for (int64_t k = 0; k < kPageKeys; ++k) {
      column[static_cast<size_t>(k)] = element(values, kPageKeys, k, j);
    }
    put_column(column, j, value_codes, value_scales, value_offsets);
  }
}

template void encode_page<float>(const float*, const float*, int64_t,
                                 std::byte*);
template void encode_page<Bf16>(const Bf16*, const Bf16*, int64_t, std::byte*);

}  // namespace selfalign::engine
