// SPDX-License-Identifier: Apache-2.0
// Recipes as YAML text.
#pragma once

#include <string>

#include "recipe/recipe.h"

namespace selfalign::recipe {

// The whole recipe as YAML, every field written out; read_recipe takes it.
std::string recipe_to_yaml(const Recipe& recipe);
std::string tune_to_yaml(const TuneOptions& options);

}  // namespace selfalign::recipe
