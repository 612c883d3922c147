// SPDX-License-Identifier: Apache-2.0
// Prompt templates: the first line is a value, the rest is the template.
#include "text/template.h"

#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  const size_t line = std::min(bytes.find('\n'), bytes.size());
  const std::string value(bytes.substr(0, line));
  const std::string filled = selfalign::text::fill_template(
      std::string(bytes.substr(line)), {{"name", value}}, "fuzz");
  SELFALIGN_CHECK(filled.find(value) != std::string::npos);
}
