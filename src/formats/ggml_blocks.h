// SPDX-License-Identifier: Apache-2.0
// The block types of ggml (ggml-common.h): elements of a row in blocks, each
// with scales of its own. De-quantised as gguf's reference does, to the bit.
#pragma once

#include <cstdint>

#include "formats/tensor_source.h"

namespace selfalign::formats {

// Exact for every half.
float half_to_float(uint16_t half);

// Decodes `blocks` whole blocks of a block type at `in`, of any alignment;
// false if `type` is no block type.
bool decode_blocks(ElementType type, const char* in, int64_t blocks,
                   float* out);

}  // namespace selfalign::formats
