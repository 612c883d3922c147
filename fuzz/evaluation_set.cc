// SPDX-License-Identifier: Apache-2.0
// Evaluation sets: CSV, and the JSON forms of the published ones.
#include "formats/evaluation_sets.h"
#include "fuzz.h"

namespace formats = selfalign::formats;

void fuzz_one(std::string_view bytes) {
  const auto set = formats::read_evaluation_set(fuzz_file(bytes, ".set"));
  SELFALIGN_CHECK(!set.items.empty());
  for (const auto& item : set.items) SELFALIGN_CHECK(!item.questions.empty());
}
