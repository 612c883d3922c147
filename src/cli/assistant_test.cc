// SPDX-License-Identifier: Apache-2.0
#include "cli/assistant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "recipe/chat.h"
#include "recipe/decoding.h"
#include "recipe/recipe.h"
#include "recipe/recipe_text.h"
#include "stages/adapter_prompt.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class AssistantTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const {
    return scratch_.path() + "/" + name;
  }
  std::string adapter(const std::string& name) const {
    make_folder(path(name));
    write_file_atomic(path(name) + "/adapter_config.json", "{}");
    return path(name);
  }
  static recipe::ChatPrompt prompt(const std::string& form) {
    return recipe::read_chat_prompt("prompts", form);
  }

  const ScratchFolder scratch_;
};

TEST_F(AssistantTest, AnAdapterIsAskedAsItWasTrainedWhateverItsFolderIsCalled) {
  generate::Sampling sampling = recipe::comparison_sampling();
  sampling.temperature = 0.25;
  const recipe::ChatPrompt own{
      "Mine.\n", "Q {instruction}\n", "A ", "\n", {"Q "}};
  stages::write_adapter_prompt(adapter("trained"),
                               {"engraved", own, sampling, ""}, "");
  fs::create_directories(path("verbose"));
  fs::copy(path("trained"), path("verbose/adapter"));
  for (const std::string& folder :
       {path("trained"), path("trained/"), path("verbose/adapter")}) {
    const Assistant found = assistant_of({folder, "auto", "", ""});
    EXPECT_EQ(found.form, "engraved");
    EXPECT_EQ(found.prompt.prompt, "Mine.\n");
    EXPECT_EQ(found.prompt.stop, own.stop);
    EXPECT_EQ(found.sampling.temperature, 0.25);
  }
  // Another form is another prompt, and samples as the adapter does.
  const Assistant other = assistant_of({path("trained"), "concise", "", ""});
  EXPECT_EQ(other.prompt.prompt, prompt("concise").prompt);
  EXPECT_EQ(other.sampling.temperature, 0.25);
  // Prompts that are named are those of the adapter's form.
  const Assistant named =
      assistant_of({path("trained"), "auto", "prompts", ""});
  EXPECT_EQ(named.prompt.prompt, prompt("engraved").prompt);
}

TEST_F(AssistantTest, AnAdapterThatDoesNotSayNeedsAForm) {
  const std::string folder = adapter("engraved/adapter");
  const std::string error = refusal_of(
      [&] {
        assistant_of({folder, "auto", "", ""});
      },
      ErrorKind::kUsage);
  EXPECT_THAT(error, HasSubstr("name the prompt with --form"));
  EXPECT_THAT(error, HasSubstr(folder));
  const Assistant found = assistant_of({folder, "tuned", "", ""});
  EXPECT_EQ(found.prompt.prompt, prompt("tuned").prompt);
  EXPECT_EQ(recipe::to_json(found.sampling),
            recipe::to_json(recipe::comparison_sampling()));
  // One that says it badly, too.
  write_file_atomic(folder + "/selfalign.json", "{");
  EXPECT_THROW(assistant_of({folder, "auto", "", ""}), Error);
  EXPECT_EQ(assistant_of({folder, "tuned", "", ""}).form, "tuned");
}

// Runs made before adapters said it.
TEST_F(AssistantTest, OfAnOldRunTheTuningSays) {
  recipe::Recipe recipe = recipe::default_recipe();
  recipe.name = "old";
  recipe.model.path = "m.gguf";
  recipe.prompts_folder = fs::absolute("prompts");
  recipe.comparison.sampling.top_p = 0.5;
  make_folder(path("run"));
  write_file_atomic(path("run") + recipe::kRecipeFile,
                    recipe::recipe_to_yaml(recipe));
  fs::copy("prompts", path("run/prompts"));
  for (const auto& [tuning, form] :
       {std::pair{"engraved", "engraved"}, std::pair{"verbose", "final"},
        std::pair{"tuned", "tuned"}}) {
    const Assistant found = assistant_of(
        {adapter(std::string("run/") + tuning + "/adapter"), "auto", "", ""});
    EXPECT_EQ(found.form, form);
    EXPECT_EQ(found.prompt.prompt, prompt(form).prompt);
    EXPECT_EQ(found.sampling.top_p, 0.5);
  }
  EXPECT_THROW(assistant_of({adapter("run/verbose/copy"), "auto", "", ""}),
               Error);
  // The base of the run samples alike.
  const Assistant base = assistant_of({"", "auto", "", path("run")});
  EXPECT_EQ(base.form, "none");
  EXPECT_EQ(base.prompt.prompt, "");
  EXPECT_EQ(base.sampling.top_p, 0.5);
}

}  // namespace
}  // namespace selfalign::cli
