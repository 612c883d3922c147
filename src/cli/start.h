// SPDX-License-Identifier: Apache-2.0
// What is checked before a run begins, with the model's tokenizer.
#pragma once

#include <string>

#include "local/workbench.h"
#include "recipe/recipe.h"

namespace selfalign::cli {

// stages::check_start and, of a model on this machine, check_lengths; `file` is
// the recipe's.
void check_before_start(const recipe::Recipe& recipe, const std::string& file,
                        local::LocalWorkbench& workbench);

}  // namespace selfalign::cli
