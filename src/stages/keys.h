// SPDX-License-Identifier: Apache-2.0
// Keys of rows: a row's key is a hash of everything its text depends on, so
// the same row comes out the same after any restart and in any order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "generate/generator.h"

namespace selfalign::stages {

// What a generated row depends on.
struct RowSource {
  std::string stage;
  std::vector<uint64_t> parents;
  std::string prompt;  // digest of the prompt template
  const generate::Sampling& sampling;
  std::string fingerprint;  // of the model
  uint64_t sample = 0;      // number among rows alike in all of the above
  uint64_t seed = 0;        // of the recipe
};
uint64_t generated_key(const RowSource& source);

// Key of part `index` parsed out of the row `parent`, or of item `index` of a
// file with the content digest `source`.
uint64_t parsed_key(const std::string& stage, uint64_t parent, uint64_t index);
uint64_t item_key(const std::string& stage, const std::string& source,
                  uint64_t index);

}  // namespace selfalign::stages
