// SPDX-License-Identifier: Apache-2.0
// Recipes: every mistake of one is an Error with its place.
#include "recipe/recipe.h"

#include "fuzz.h"
#include "recipe/recipe_file.h"

void fuzz_one(std::string_view bytes) {
  selfalign::recipe::read_recipe(fuzz_file(bytes, ".yaml"));
}
