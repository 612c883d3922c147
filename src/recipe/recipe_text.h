// SPDX-License-Identifier: Apache-2.0
// Recipes as YAML text.
#pragma once

#include <string>

#include "recipe/recipe.h"

namespace selfalign::recipe {

// The whole recipe as YAML, which read_recipe takes. A run keeps it without
// what came after runs had been made and is as it was then, unless `all`.
std::string recipe_to_yaml(const Recipe& recipe, bool all = false);
std::string tune_to_yaml(const TuneOptions& options);

}  // namespace selfalign::recipe
