// SPDX-License-Identifier: Apache-2.0
// The main path: the four stages of Self-Align over one run folder. Running it
// again on the same folder goes on where it stopped.
#pragma once

#include <memory>

#include "recipe/recipe.h"
#include "stages/run.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::stages {

// Makes or opens the run's folder for `recipe`: writes recipe.resolved.yaml or
// checks that the one there is the same (Error kUsage lists the fields that
// differ).
std::unique_ptr<store::Store> open_run(const recipe::Recipe& recipe);

// Runs the stages that are not done yet. Prints each stage's funnel. Throws
// Error kInterrupted after everything made so far is safe. run_to_end (
// whole_run.h) is what a person's run needs.
void run_pipeline(const recipe::Recipe& recipe, Workbench& workbench,
                  store::Store& store, Judging judging = Judging::kOwn);

}  // namespace selfalign::stages
