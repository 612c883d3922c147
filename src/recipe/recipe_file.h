// SPDX-License-Identifier: Apache-2.0
// Recipes as a person writes them.
#pragma once

#include <string>

#include "recipe/recipe.h"

namespace selfalign::recipe {

// Error kUsage lists every mistake of the file, a line each. Relative paths in
// it are meant from the recipe file's folder and come out resolved.
Recipe read_recipe(const std::string& path);

}  // namespace selfalign::recipe
