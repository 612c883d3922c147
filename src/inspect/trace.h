// SPDX-License-Identifier: Apache-2.0
// Where a row came from and what became of it: the way from principle to
// training row, raw text included.
#pragma once

#include <cstdint>
#include <string>

#include "store/reader.h"

namespace selfalign::inspect {

// The key of a row named by a person: 16 hex digits, or stage:seq as in
// "engrave.samples:3". Error kInput if there is no such row.
uint64_t find_row(const store::Reader& store, const std::string& name);

// All rows that `key` came from, itself, and what was made of it: content,
// verdicts, prompt files and sampling, raw completion, thought, and the
// principles that fired. Error kInput if there is no such row.
std::string show_row(const store::Reader& store, uint64_t key);

}  // namespace selfalign::inspect
