// SPDX-License-Identifier: Apache-2.0
// The items that a result was computed from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/evaluation.h"

namespace selfalign::eval {

// Of the log at `place`, relative to an evaluation's folder, those of `keys`,
// or all where that is empty. Error kDamaged where the log is gone, or lacks
// one of them; kInput for a place outside of `folder`; else as of item_log.h.
std::vector<Json> read_items(const std::string& folder,
                             const std::string& place,
                             const std::vector<uint64_t>& keys);

// The items of a result, one of each id, the last where it names no keys, in
// order of first appearance. Items of another "subject" and those without an id
// are left out. A judge's log holds several subjects and tasks, a verdict a
// line: those of one answer become one item, its scores the verdicts by kind
// ("single", "truthful"). Errors as above.
std::vector<Json> read_items(const std::string& folder,
                             const TaskResult& result);

}  // namespace selfalign::eval
