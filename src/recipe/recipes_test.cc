// SPDX-License-Identifier: Apache-2.0
// The project's own recipes are read without a mistake.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "recipe/recipe_file.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;

TEST(Recipes, AreValidAndNameTheirRunFolder) {
  int num_recipes = 0;
  for (const auto& entry : fs::directory_iterator("recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    const Recipe recipe = read_recipe(entry.path().string());
    EXPECT_EQ(recipe.name, entry.path().stem());
    EXPECT_EQ(fs::path(recipe.run_folder).filename(), recipe.name);
    EXPECT_NO_THROW(
        load_prompts(recipe.prompts_folder, recipe.prompts_overlay));
    ++num_recipes;
  }
  EXPECT_GE(num_recipes, 3);
}

// prompts/small is for the embedded model, and for no other.
TEST(Recipes, OfTheEmbeddedModelHaveItsPrompts) {
  const std::string small = fs::absolute("prompts/small").string();
  int num_small = 0;
  for (const auto& entry : fs::directory_iterator("recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    const Recipe recipe = read_recipe(entry.path().string());
    const auto& overlays = recipe.prompts_overlay;
    const bool is_small =
        recipe.model.path.find("SmolLM2") != std::string::npos;
    EXPECT_EQ(std::any_of(overlays.begin(), overlays.end(),
                          [&small](const std::string& overlay) {
                            return overlay.starts_with(small);
                          }),
              is_small)
        << entry.path();
    if (is_small) {
      EXPECT_EQ(overlays[0], small) << entry.path();
    }
    num_small += is_small;
  }
  EXPECT_GE(num_small, 8);
}

TEST(Recipes, DromedaryAsksForThePapersNumbers) {
  for (const char* name : {"dromedary", "dromedary-non-verbose"}) {
    const Recipe recipe = read_recipe(std::string("recipes/") + name + ".yaml");
    EXPECT_EQ(recipe.instruct.num_instructions, 267597);
    EXPECT_EQ(recipe.instruct.num_red_team, 99121);
    EXPECT_GE(recipe.instruct.topics_per_type, 1000);
    EXPECT_GT(recipe.instruct.topic_rounds, 1);
  }
}

}  // namespace
}  // namespace selfalign::recipe
