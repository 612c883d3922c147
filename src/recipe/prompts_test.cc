// SPDX-License-Identifier: Apache-2.0
#include "recipe/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "parse/thoughts.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST(Prompts, TheProjectsOwnAreComplete) {
  for (const char* folder : {"prompts", "prompts/small"}) {
    SCOPED_TRACE(folder);
    const Prompts prompts = load_prompts(folder);
    EXPECT_EQ(prompts.principles.size(), 16u);
    EXPECT_EQ(prompts.exemplars.size(), 5u);
    EXPECT_EQ(prompts.seed_tasks.size(), 175u);
    EXPECT_EQ(prompts.red_team.types.size(), 20u);
    EXPECT_GE(prompts.identity.size(), 90u);
    EXPECT_EQ(prompts.held_out.size(), 50u);
    int num_shown = 0;
    for (const HeldOutInstruction& row : prompts.held_out) {
      num_shown += row.show;
    }
    EXPECT_EQ(num_shown, 5);
  }
}

TEST(Prompts, AreLaidOutAsTheirFilesSay) {
  const Prompts prompts = load_prompts("prompts");
  const std::string prefix = align_prefix(prompts);
  EXPECT_THAT(prefix, HasSubstr("\n1 (" + prompts.principles[0].name + "). "));
  EXPECT_THAT(prefix, HasSubstr("16 (" + prompts.principles[15].name + "). "));
  for (const Exemplar& exemplar : prompts.exemplars) {
    EXPECT_THAT(prefix, HasSubstr(exemplar.turns[0].answer));
  }
  EXPECT_THAT(prefix, EndsWith(prompts.align.close + "\n\n"));
  const std::string suffix = align_suffix(prompts, "Why {this}?");
  EXPECT_THAT(suffix, HasSubstr("Why {this}?"));
  EXPECT_THAT(suffix, EndsWith(prompts.align.thought_tag));
  EXPECT_THAT(chat_turn(prompts.engraved, "Why?"),
              EndsWith(prompts.engraved.answer));
  EXPECT_EQ(prompts.engraved.prompt.find('{'), std::string::npos);
}

TEST(Prompts, InferencePromptsAreTurnsInTheLayoutOfTheEngravedOne) {
  const Prompts prompts = load_prompts("prompts");
  for (const std::string& form : inference_forms()) {
    const ChatPrompt& chat = chat_form(prompts, form);
    EXPECT_EQ(chat.prompt.rfind("# Sage\n\nSage is an AI assistant", 0), 0u);
    EXPECT_THAT(chat.prompt, EndsWith("\n\n")) << form;
    EXPECT_EQ(chat.stop, prompts.engraved.stop);
    EXPECT_EQ(chat.prompt.find("### User\n") == std::string::npos,
              form == "concise");
  }
  EXPECT_THAT(chat_form(prompts, "standard").prompt,
              HasSubstr("\n\n### User\nBefore we start: who are you?\n\n"
                        "### Sage\nI am Sage, "));
  EXPECT_GT(chat_form(prompts, "verbose").prompt.size(),
            chat_form(prompts, "introduction").prompt.size());
  EXPECT_THAT(chat_form(prompts, "multilingual").prompt, HasSubstr("用中文"));
  EXPECT_EQ(chat_form(prompts, "final").prompt, prompts.verbose.prompt);
  EXPECT_THROW(chat_form(prompts, "sideways"), Error);
}

class EditedPromptsTest : public ::testing::Test {
 protected:
  EditedPromptsTest() { fs::copy("prompts", folder_); }

  void replace(const std::string& file, const std::string& from,
               const std::string& to) {
    const std::string path = folder_ + "/" + file;
    std::string text = read_file(path);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write_file_atomic(path, text.replace(at, from.size(), to));
  }
  std::string error() {
    return message_of([&] { load_prompts(folder_); });
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/prompts";
};

TEST_F(EditedPromptsTest, AnEditChangesTheDigest) {
  const std::string digest = load_prompts(folder_).digest;
  EXPECT_EQ(digest, load_prompts("prompts").digest);
  replace("held_out.yaml", "show: true", "show: false");
  EXPECT_NE(load_prompts(folder_).digest, digest);
}

TEST_F(EditedPromptsTest, ARenamedPrincipleIsMissedInTheExemplars) {
  replace("principles.yaml", "name: candor", "name: honesty");
  EXPECT_THAT(error(), HasSubstr("exemplars.yaml:"));
  EXPECT_THAT(error(), HasSubstr("exemplars.thought: expected \"rules N"));
}

TEST_F(EditedPromptsTest, MistakesHaveFileAndLine) {
  replace("self_instruct.yaml", "list of {total}", "list of {totl}");
  EXPECT_THAT(error(), HasSubstr("self_instruct.yaml:"));
  EXPECT_THAT(error(), HasSubstr("{totl}"));
  replace("self_instruct.yaml", "list of {totl}", "list of {total}");
  EXPECT_EQ(error(), "no error");
  replace("meta.yaml", "  between:", "  betwen:");
  EXPECT_THAT(error(), HasSubstr("did you mean \"between\"?"));
  EXPECT_THAT(error(), HasSubstr("engraved.between: expected this key"));
}

TEST_F(EditedPromptsTest, InferencePromptsAreChecked) {
  replace("meta.yaml", "  concise:", "  concize:");
  EXPECT_THAT(error(), HasSubstr("did you mean \"concise\"?"));
  replace("meta.yaml", "  concize:", "  concise:");
  replace("meta.yaml", "      - user: \"Before we start: who are you?\"",
          "      - usr: a");
  EXPECT_THAT(error(), HasSubstr("turns.user: expected this key"));
  replace("meta.yaml", "inference:", "tuned_on:");
  EXPECT_THAT(error(), HasSubstr("tuned_on"));
}

TEST_F(EditedPromptsTest, AMissingFileIsNamed) {
  fs::remove(folder_ + "/identity.yaml");
  EXPECT_THAT(error(), HasSubstr("identity.yaml"));
}

TEST_F(EditedPromptsTest, OfOverlaysTheLastOneThatHasAFileWins) {
  const std::string a = scratch_.path() + "/a", b = scratch_.path() + "/b";
  for (const std::string& overlay : {a, b}) {
    make_folder(overlay);
    write_file_atomic(
        overlay + "/held_out.yaml",
        "held_out:\n  - instruction: of " + overlay.substr(overlay.size() - 1));
  }
  write_file_atomic(a + "/seed_tasks.yaml",
                    "seed_tasks:\n  - instruction: of a\n");
  const Prompts prompts = load_prompts(folder_, {a, b});
  EXPECT_EQ(prompts.seed_tasks[0].instruction, "of a");
  EXPECT_EQ(prompts.held_out[0].instruction, "of b");
  EXPECT_EQ(prompts.identity.size(), load_prompts(folder_).identity.size());
  EXPECT_EQ(load_prompts(folder_, {b, a}).held_out[0].instruction, "of a");
}

// prompts/small as --prompts, without a recipe.
TEST_F(EditedPromptsTest, AFolderInsideAnotherNeedsOnlyWhatDiffers) {
  const std::string inner = folder_ + "/own";
  make_folder(inner);
  const auto load = [&] { return load_prompts(inner); };
  EXPECT_THROW(load(), Error);  // nothing in it: no prompts folder
  write_file_atomic(inner + "/held_out.yaml",
                    "held_out:\n  - instruction: own\n");
  EXPECT_EQ(load().held_out[0].instruction, "own");
  EXPECT_EQ(load().digest, load_prompts(folder_, {inner}).digest);
  EXPECT_THROW(load_prompts(folder_ + "/won"), Error);
  fs::remove(folder_ + "/meta.yaml");
  EXPECT_THROW(load(), Error);
}

}  // namespace
}  // namespace selfalign::recipe
