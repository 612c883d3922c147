// The project's own recipes are read without a mistake.
#include <gtest/gtest.h>

#include <filesystem>

#include "stages/recipe.h"

namespace selfalign::stages {
namespace {

TEST(Recipes, AreValidAndNameTheirRunFolder) {
  int num_recipes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    const Recipe recipe = read_recipe(entry.path().string());
    EXPECT_EQ(recipe.name, entry.path().stem());
    EXPECT_EQ(std::filesystem::path(recipe.run_folder).filename(), recipe.name);
    EXPECT_TRUE(std::filesystem::exists(recipe.prompts_folder));
    ++num_recipes;
  }
  EXPECT_GE(num_recipes, 3);
}

}  // namespace
}  // namespace selfalign::stages
