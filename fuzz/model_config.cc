// SPDX-License-Identifier: Apache-2.0
// config.json: what is read is in its ranges.
#include "formats/model_config.h"

#include "base/json.h"
#include "fuzz.h"

namespace formats = selfalign::formats;

void fuzz_one(std::string_view bytes) {
  const auto config =
      formats::config_from_json(selfalign::parse_json(bytes, "fuzz"), "fuzz");
  formats::check_config(config, "again");
}
