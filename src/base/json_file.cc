// SPDX-License-Identifier: Apache-2.0
#include "base/json_file.h"

#include "base/file.h"

namespace selfalign {

void write_json_file(const std::string& path, const Json& value, int indent) {
  write_file_atomic(
      path,
      value.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace selfalign
