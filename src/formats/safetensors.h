// SPDX-License-Identifier: Apache-2.0
// safetensors: writing (reading is formats/tensor_source.h). The format: 8
// bytes little-endian header length, a JSON header, then the tensors' bytes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/tensor_source.h"

namespace selfalign::formats {

// Writes atomically. Tensors in the given order; `metadata` goes into the
// header's "__metadata__". Types kF32, kF16, kBF16, kF64, kI64, kI32, kU8.
void write_safetensors(const std::string& path,
                       const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace selfalign::formats
