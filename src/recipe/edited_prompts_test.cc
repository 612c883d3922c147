// SPDX-License-Identifier: Apache-2.0
#include "recipe/edited_prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace selfalign::recipe {
namespace {

const std::vector<std::string> kNames = {"ethical", "helpful", "candor"};

TEST(Renumbered, TakesRulesOutWithTheirCommas) {
  const std::string thought =
      "Here rules 1 (ethical), 2 (helpful), 3 (candor) apply to 3 (three).";
  EXPECT_EQ(renumbered(thought, kNames, {0, 1, 2}),
            "Here rules 1 (helpful), 2 (candor) apply to 3 (three).");
  EXPECT_EQ(renumbered(thought, kNames, {1, 0, 2}),
            "Here rules 1 (ethical), 2 (candor) apply to 3 (three).");
  EXPECT_EQ(renumbered(thought, kNames, {1, 2, 0}),
            "Here rules 1 (ethical), 2 (helpful) apply to 3 (three).");
  EXPECT_EQ(renumbered(thought, kNames, {0, 0, 1}),
            "Here rules 1 (candor) apply to 3 (three).");
  EXPECT_EQ(renumbered(thought, kNames, {1, 2, 3}), thought);
  EXPECT_THROW(renumbered(thought, kNames, {0, 0, 0}), Error);
  EXPECT_EQ(renumbered("No rule.", kNames, {0, 0, 0}), "No rule.");
}

TEST(Renumbered, TakesRulesOutWithTheirReasons) {
  const std::string start = "The user asks. These rules apply: ";
  const std::string thought =
      start +
      "1 (ethical), since 4; 2 (helpful), so I do it; 3 (candor), so I say "
      "it.";
  EXPECT_EQ(renumbered(thought, kNames, {0, 1, 2}),
            start + "1 (helpful), so I do it; 2 (candor), so I say it.");
  EXPECT_EQ(renumbered(thought, kNames, {1, 0, 2}),
            start + "1 (ethical), since 4; 2 (candor), so I say it.");
  EXPECT_EQ(renumbered(thought, kNames, {1, 2, 0}),
            start + "1 (ethical), since 4; 2 (helpful), so I do it.");
  EXPECT_EQ(renumbered(thought + " I begin.", kNames, {0, 1, 0}),
            start + "1 (helpful), so I do it. I begin.");
  EXPECT_EQ(renumbered(thought, kNames, {1, 2, 3}), thought);
  EXPECT_THROW(renumbered(thought, kNames, {0, 0, 0}), Error);
}

class EditedPrompts : public testing::Test {
 protected:
  Prompts edited(const PromptEdit& edit) {
    write_edited_prompts("prompts", edit, to_);
    return load_prompts(to_);
  }
  const ScratchFolder scratch_;
  const std::string to_ = scratch_.path() + "/edited";
};

TEST_F(EditedPrompts, WithoutAnEditTheyAreTheSame) {
  EXPECT_EQ(edited({}).digest, load_prompts("prompts").digest);
  EXPECT_EQ(PromptEdit().name(), "control");
}

TEST_F(EditedPrompts, EveryPrincipleCanBeDropped) {
  const Prompts before = load_prompts("prompts");
  for (int rule = 1; rule <= 16; ++rule) {
    PromptEdit edit;
    edit.drop_rules = {rule};
    EXPECT_EQ(edit.name(), "drop-rule-" + std::to_string(rule));
    const Prompts after = edited(edit);
    EXPECT_EQ(after.principles.size(), 15u);
    EXPECT_EQ(after.exemplars.size(), before.exemplars.size());
    EXPECT_NE(after.digest, before.digest);
    // Named nowhere any more, neither in the list nor in an exemplar.
    EXPECT_EQ(align_prefix(after).find(
                  " (" + before.principles[size_t(rule - 1)].name + ")"),
              std::string::npos);
  }
}

TEST_F(EditedPrompts, ExemplarsAreDroppedAndAdded) {
  make_folder(to_);
  const std::string file = to_ + "/more.yaml";
  write_file_atomic(file,
                    "exemplars:\n  - user: Why?\n    thought: Rules 17 (tidy) "
                    "apply.\n    answer: So.\n");
  PromptEdit edit;
  edit.drop_exemplars = {1};
  edit.add_rules = {{"tidy", "Sage is tidy."}};
  edit.add_exemplars = {file};
  const Prompts after = edited(edit);
  EXPECT_EQ(after.principles.back().name, "tidy");
  EXPECT_EQ(after.exemplars.size(), 5u);
  EXPECT_EQ(after.exemplars.back().turns[0].user, "Why?");
  EXPECT_EQ(edit.name(), "add-rule-tidy-drop-exemplar-1-add-exemplar-more");
  const Prompts before = load_prompts("prompts");
  EXPECT_EQ(after.exemplars[0].turns[0].user,
            before.exemplars[1].turns[0].user);
  edit.add_rules.clear();  // the new exemplar's rule is none then
  EXPECT_THROW(edited(edit), Error);
}

TEST_F(EditedPrompts, NumbersThatAreNotThereAreRefused) {
  PromptEdit edit;
  edit.drop_rules = {17};
  EXPECT_THROW(edited(edit), Error);
  edit = {};
  edit.drop_exemplars = {0};
  EXPECT_THROW(edited(edit), Error);
}

}  // namespace
}  // namespace selfalign::recipe
