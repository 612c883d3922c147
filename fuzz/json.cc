// SPDX-License-Identifier: Apache-2.0
// JSON: what is parsed comes back equal from its own text.
#include "base/json.h"

#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  const selfalign::Json value = selfalign::parse_json(bytes, "fuzz");
  const std::string text = selfalign::dump_json(value);
  SELFALIGN_CHECK(text.find('\n') == std::string::npos);
  SELFALIGN_CHECK(selfalign::dump_json(selfalign::parse_json(text, "again")) ==
                  text);
}
