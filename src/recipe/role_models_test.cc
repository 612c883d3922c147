// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"
#include "recipe/recipe.h"
#include "recipe/recipe_file.h"
#include "recipe/recipe_text.h"

namespace selfalign::recipe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RoleModelsTest : public ::testing::Test {
 protected:
  RoleModelsTest() { make_folder(folder_ + "/sub"); }

  std::string write(const std::string& text) {
    std::string path = folder_ + "/sub/small.yaml";
    write_file_atomic(path, text);
    return path;
  }
  std::string error_of(const std::string& text) {
    const std::string path = write(text);
    return refusal_of([&] { read_recipe(path); }, ErrorKind::kUsage);
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path();
};

constexpr char kServed[] =
    "model:\n"
    "  path: ../base\n"
    "  servers: [http://a:1/v1, \"http://b:1/v1#x\", fleet.txt]\n"
    "prompts_folder: ../prompts\n";

TEST_F(RoleModelsTest, ServersAnswerForTheModelThatIsTunedHere) {
  const Recipe recipe = read_recipe(write(kServed));
  EXPECT_EQ(recipe.model.servers,
            (std::vector<std::string>{"http://a:1/v1", "http://b:1/v1#x",
                                      folder_ + "/sub/fleet.txt"}));
  EXPECT_TRUE(recipe.model_for(Role::kAlign).is_served());
  EXPECT_EQ(recipe.model_for(Role::kAlign).role, "");
  const ModelOptions trained = recipe.model_for(Role::kTrain);
  EXPECT_FALSE(trained.is_served());
  EXPECT_EQ(trained.path, folder_ + "/base");
  EXPECT_EQ(trained.role, "train");
  EXPECT_EQ(recipe.base_models().size(), 2);
  // What is written is read as the same.
  write(recipe_to_yaml(recipe));
  const Recipe again = read_recipe(folder_ + "/sub/small.yaml");
  EXPECT_EQ(again.model, recipe.model);
  EXPECT_FALSE(again.models.names_any());
}

TEST_F(RoleModelsTest, ARoleNamesAPlaceOfItsOwnAndTakesTheRestOver) {
  const std::string text = str(kServed,
                               "models:\n"
                               "  verbose: {servers: http://c:1/v1}\n"
                               "  evaluate: {path: ../base, num_slots: 8}\n"
                               "  judge: {path: \"https://d/v1#judge\"}\n");
  const Recipe recipe = read_recipe(write(text));
  const ModelOptions verbose = recipe.model_for(Role::kVerbose);
  EXPECT_EQ(verbose.servers, std::vector<std::string>{"http://c:1/v1"});
  EXPECT_EQ(verbose.path, folder_ + "/base");
  EXPECT_EQ(verbose.role, "verbose");
  const ModelOptions evaluate = recipe.model_for(Role::kEvaluate);
  EXPECT_FALSE(evaluate.is_served());
  EXPECT_EQ(evaluate.num_slots, 8);
  EXPECT_EQ(recipe.model_for(Role::kJudge).path, "https://d/v1#judge");
  EXPECT_TRUE(recipe.model_for(Role::kJudge).servers.empty());
  EXPECT_EQ(recipe.model_for(Role::kAlign), recipe.model);
  write(recipe_to_yaml(recipe));
  const Recipe again = read_recipe(folder_ + "/sub/small.yaml");
  for (const Role role : all_roles()) {
    EXPECT_EQ(again.model_for(role), recipe.model_for(role)) << role_name(role);
  }
}

TEST_F(RoleModelsTest, WhatIsTunedMustBeHere) {
  const std::string remote =
      "model: {path: \"http://a:1/v1\"}\nprompts_folder: ../prompts\n";
  EXPECT_THAT(error_of(remote), HasSubstr("give the model on this machine"));
  const std::string with_base =
      str(remote, "models: {train: {path: ../base}}\n");
  EXPECT_EQ(read_recipe(write(with_base)).model_for(Role::kTrain).path,
            folder_ + "/base");
  EXPECT_THAT(
      error_of("model: {path: \"http://a:1/v1\", servers: http://b:1/v1}\n"
               "prompts_folder: ../prompts\nstages: [instruct, align]\n"),
      HasSubstr("a server's address beside servers"));
  EXPECT_THAT(error_of(str(kServed, "models: {train: {servers: fleet.txt}}\n")),
              HasSubstr("servers train nothing"));
  const Recipe trained =
      read_recipe(write(str(kServed, "models: {train: {dtype: float32}}\n")));
  write(recipe_to_yaml(trained));
  EXPECT_EQ(read_recipe(folder_ + "/sub/small.yaml").model_for(Role::kTrain),
            trained.model_for(Role::kTrain));
  EXPECT_THAT(error_of("model: {num_slots: 3}\nprompts_folder: ../prompts\n"),
              HasSubstr("expected a path or servers"));
  EXPECT_THAT(error_of("model: {path: x, servers: \"http://u:p@a/v1\"}\n"
                       "prompts_folder: ../prompts\n"),
              AllOf(HasSubstr("without user"), Not(HasSubstr("u:p"))));
}

}  // namespace
}  // namespace selfalign::recipe
