// SPDX-License-Identifier: Apache-2.0
// Numbers as files store them: the inverse of to_float. Halves are rounded to
// the nearest, ties to even; blocks as ggml's reference rounds them
// (quantize_row_q8_0_ref, quantize_row_q4_0_ref), to the bit.
#pragma once

#include <cstdint>
#include <string>

#include "formats/tensor_source.h"

namespace selfalign::formats {

// Whether from_float can make it: F32, F16, BF16, Q8_0 and Q4_0.
bool can_encode(ElementType type);

// `count` values, whole blocks of a block type. Error kInput names `where` and
// a value that the type cannot hold: one beyond a half's range, or in a block
// one that is not finite.
std::string from_float(ElementType type, const float* values, int64_t count,
                       const std::string& where);

}  // namespace selfalign::formats
