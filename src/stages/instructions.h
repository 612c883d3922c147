// SPDX-License-Identifier: Apache-2.0
// The instructions that a run's later stages answer.
#pragma once

#include <string>
#include <vector>

#include "store/store.h"

namespace selfalign::stages {

// The instructions of a finished stage 1, in order: tasks, then questions; or
// those a person gave (given.h); then what refills added (refill.h). Their
// content has the text under "instruction".
std::vector<store::Row> kept_instructions(const store::Reader& store);
// Their number, as the manifests say it.
int64_t num_kept_instructions(const store::Reader& store);
// Those that the stage `consumer` is to answer: without what a person dropped
// before it began.
std::vector<store::Row> instructions_for(const std::string& consumer,
                                         store::Store& store);

}  // namespace selfalign::stages
