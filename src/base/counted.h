// SPDX-License-Identifier: Apache-2.0
// Numbers of things in messages, as one says them.
#pragma once

#include <cstdint>
#include <string>

namespace selfalign {

// "1 row", "2 rows"; of what takes an s.
inline std::string counted(int64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace selfalign
