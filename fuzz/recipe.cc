// Recipes: every mistake of one is an Error with its place.
#include "stages/recipe.h"

#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  selfalign::stages::read_recipe(fuzz_file(bytes, ".yaml"));
}
