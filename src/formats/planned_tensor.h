// SPDX-License-Identifier: Apache-2.0
// A tensor of a file to be written. Its bytes are made when its turn comes, so
// that of a model of any size one tensor is in memory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "formats/tensor_source.h"

namespace selfalign::formats {

struct PlannedTensor {
  std::string name;
  ElementType type = ElementType::kF32;
  std::vector<int64_t> shape;         // outermost first
  std::function<std::string()> make;  // storage_bytes(type, shape) of them

  uint64_t num_bytes() const;
  std::string bytes() const;  // made, and of the right number
};

}  // namespace selfalign::formats
