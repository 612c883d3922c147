// SPDX-License-Identifier: Apache-2.0
// JSON files, the same whoever writes them.
#pragma once

#include <string>

#include "base/json.h"

namespace selfalign {

// Writes `value` with `indent` blanks a level and a line feed at its end, as
// write_file_atomic. Always UTF-8: bytes that are not become U+FFFD, since
// names of files, what a model wrote and what a command line says need not be.
void write_json_file(const std::string& path, const Json& value,
                     int indent = 1);

}  // namespace selfalign
