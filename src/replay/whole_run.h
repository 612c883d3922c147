// SPDX-License-Identifier: Apache-2.0
// A run from wherever it is to its end.
#pragma once

#include "recipe/recipe.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::replay {

// Runs the stages that are not done yet (run_pipeline), a fork with what its
// origin has (fork.h), and closes the run with its report (write_summary).
// Errors are theirs.
void run_to_end(const recipe::Recipe& recipe, stages::Workbench& workbench,
                store::Store& store);

}  // namespace selfalign::replay
