// SPDX-License-Identifier: Apache-2.0
// safetensors: writing (reading is formats/tensor_source.h). The format: 8
// bytes little-endian header length, a JSON header, then the tensors' bytes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/planned_tensor.h"
#include "formats/tensor_source.h"

namespace selfalign::formats {

// Writes atomically. Tensors in the given order; `metadata` goes into the
// header's "__metadata__". Types kF32, kF16, kBF16, kF64, kI64, kI32, kU8.
void write_safetensors(const std::string& path,
                       const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

// A model's weights in a folder where none are: model.safetensors or, over
// `max_shard` bytes, shards of at most that (a tensor is never cut) with their
// index. Each file is durable on return. Names of the files.
std::vector<std::string> write_model_tensors(
    const std::string& folder, const std::vector<PlannedTensor>& tensors,
    uint64_t max_shard = uint64_t{5} * 1000 * 1000 * 1000);

}  // namespace selfalign::formats
