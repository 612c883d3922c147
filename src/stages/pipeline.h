// The main path: the four stages of Self-Align over one run folder. Running it
// again on the same folder goes on where it stopped.
#pragma once

#include <string>

#include "stages/recipe.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::stages {

// Makes or opens the run's folder for `recipe`: writes recipe.resolved.yaml or
// checks that the one there is the same (Error kUsage lists the fields that
// differ).
std::unique_ptr<store::Store> open_run(const Recipe& recipe);

// Runs what is not done yet. Prints each stage's funnel. Throws Error
// kInterrupted after everything made so far is safe.
void run_pipeline(const Recipe& recipe, Workbench& workbench,
                  store::Store& store);

// The closing table: rows per stage with reasons of rejection, mean answer
// length per stage, losses, held-out questions side by side. Plain text.
std::string run_summary(const Recipe& recipe, const store::Store& store);

}  // namespace selfalign::stages
