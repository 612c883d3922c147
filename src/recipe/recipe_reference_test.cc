// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe_reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include "base/file.h"
#include "recipe/recipe.h"
#include "recipe/recipe_text.h"

namespace selfalign::recipe {
namespace {

using testing::HasSubstr;

// Keys of a written recipe that the schema does not name.
void expect_known(const YAML::Node& node, const Json& schema,
                  const std::string& where) {
  for (const auto& entry : node) {
    const std::string key = entry.first.Scalar();
    ASSERT_TRUE(schema["properties"].contains(key)) << where << key;
    if (entry.second.IsMap()) {
      expect_known(entry.second, schema["properties"][key], where + key + ".");
    }
  }
}

TEST(RecipeReference, TheSchemaKnowsEveryKeyThatIsWritten) {
  expect_known(YAML::Load(recipe_to_yaml(default_recipe())), recipe_schema(),
               "");
}

TEST(RecipeReference, TheSchemaHasTypesRangesAndDefaults) {
  const Json schema = recipe_schema();
  EXPECT_EQ(schema["required"], Json::array({"model", "prompts_folder"}));
  const Json& rank = schema["properties"]["engrave"]["properties"]["rank"];
  EXPECT_EQ(rank["type"], "integer");
  EXPECT_EQ(rank["minimum"], 1);
  EXPECT_EQ(rank["maximum"], 4096);
  EXPECT_EQ(rank["default"], 16);
  const Json& align = schema["properties"]["align"]["properties"];
  EXPECT_EQ(align["sampling"]["properties"]["top_p"]["default"], 0.9);
  EXPECT_EQ(
      schema["properties"]["comparison"]["properties"]["decoding"]["enum"],
      Json::array({"one", "own"}));
}

TEST(RecipeReference, TheDocumentIsMadeFromTheSettings) {
  EXPECT_EQ(read_file("docs/recipe.md"), recipe_reference())
      << "write it with: selfalign recipe --reference > docs/recipe.md";
  EXPECT_THAT(recipe_reference(),
              HasSubstr("| `rank` | `16` | 1 to 4096 | Rank of the LoRA "
                        "matrices. |"));
  EXPECT_THAT(recipe_reference(),
              HasSubstr("The keys of `engrave`; by default `max_length` "
                        "`768`."));
}

TEST(ChangePaths, ReachesEveryPathOfARecipe) {
  Recipe recipe = default_recipe();
  std::vector<std::string*> paths = {
      &recipe.run_folder,         &recipe.model.path,
      &recipe.model.api_key_file, &recipe.prompts_folder,
      &recipe.instructions.path,  &recipe.data.path};
  recipe.contamination.sets = {"", ""};
  recipe.prompts_overlay = {""};
  recipe.model.servers = {""};
  recipe.models.judge.path = "far/away";
  paths.push_back(&recipe.models.judge.path);
  for (auto* list : {&recipe.contamination.sets, &recipe.prompts_overlay,
                     &recipe.model.servers}) {
    for (std::string& path : *list) paths.push_back(&path);
  }
  for (std::string* path : paths) *path = "far/away";
  change_paths(recipe, [](std::string& path) { path = "near"; });
  for (const std::string* path : paths) EXPECT_EQ(*path, "near");
  EXPECT_EQ(recipe.profile, "default");
}

}  // namespace
}  // namespace selfalign::recipe
