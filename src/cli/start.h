// What is checked before a run begins, with the model's tokenizer.
#pragma once

#include <string>

#include "cli/workbench.h"
#include "stages/recipe.h"

namespace selfalign::cli {

// stages::check_start and, of a model on this machine, check_lengths; `file` is
// the recipe's.
void check_before_start(const stages::Recipe& recipe, const std::string& file,
                        LocalWorkbench& workbench);

}  // namespace selfalign::cli
