// SPDX-License-Identifier: Apache-2.0
// Prompt templates: text with {name} places. "{{" and "}}" are braces.
#pragma once

#include <map>
#include <string>

namespace selfalign::text {

using Values = std::map<std::string, std::string>;

// Fills every {name} of `text` with its value; a value is never scanned again.
// Error kUsage, naming `where`, on an unknown name, an unused value or an
// unclosed brace.
std::string fill_template(const std::string& text, const Values& values,
                          const std::string& where);

}  // namespace selfalign::text
