// SPDX-License-Identifier: Apache-2.0
// Reading what a model wrote: thoughts, lists of tasks and topics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parse/lists.h"
#include "parse/thoughts.h"

namespace selfalign::parse {
namespace {

using ::testing::ElementsAre;

const std::vector<std::string> kTags = {"User:", "Sage:", "Sage (thoughts):"};

TEST(Thought, EndsAtTheFirstLineWithTheAnswerTag) {
  const ThoughtfulAnswer parts = split_thought(
      " Think of Sage: it.\n\nSage: Hello User: you.\n", "Sage:", kTags);
  EXPECT_EQ(parts.thought, "Think of Sage: it.");
  EXPECT_EQ(parts.answer, "Hello User: you.");
  EXPECT_TRUE(parts.has_answer);
  EXPECT_FALSE(parts.closed);
}

TEST(Thought, AnAnswerEndsAtTheNextTag) {
  const ThoughtfulAnswer parts = split_thought(
      " T.\nSage: A.\n\nSage (thoughts): B.\nSage: C.", "Sage:", kTags);
  EXPECT_EQ(parts.answer, "A.");
  EXPECT_TRUE(parts.closed);
}

TEST(Thought, MayBeMissingOrAll) {
  EXPECT_EQ(split_thought("Sage: Hi.", "Sage:", kTags).answer, "Hi.");
  EXPECT_EQ(split_thought("Sage: Hi.", "Sage:", kTags).thought, "");
  const ThoughtfulAnswer all = split_thought("only thoughts", "Sage:", kTags);
  EXPECT_FALSE(all.has_answer);
  EXPECT_EQ(all.thought, "only thoughts");
  EXPECT_EQ(all.answer, "");
}

const TaskForm kForm =
    task_form("{number}. Task: {instruction}\nText: {input}", "None");

TEST(Tasks, TheFormIsReadFromTheTemplate) {
  EXPECT_EQ(kForm.task_mark, ". Task:");
  EXPECT_EQ(kForm.input_mark, "Text:");
}

TEST(Tasks, AreReadWithAndWithoutInput) {
  const auto tasks = parse_tasks(
      " Name a bird.\nText: None\n\n7. Task: Sum up.\nOutput: 1\nText: One.\n"
      "\nTwo.\n\n8. Task: Say 3. Task: hi\n9. Task: Cut",
      6, true, kForm);
  ASSERT_EQ(tasks.size(), 4u);
  EXPECT_EQ(tasks[0].task, "Name a bird.");
  EXPECT_EQ(tasks[0].input, "");
  EXPECT_FALSE(tasks[0].cut_off);
  EXPECT_EQ(tasks[1].task, "Sum up.");
  EXPECT_EQ(tasks[1].input, "One.\n\nTwo.");
  EXPECT_EQ(tasks[2].task, "Say 3. Task: hi");
  EXPECT_TRUE(tasks[1].has_input_line);
  EXPECT_FALSE(tasks[2].has_input_line);
  EXPECT_FALSE(tasks[2].is_last);
  EXPECT_TRUE(tasks[3].is_last);
  EXPECT_TRUE(tasks[3].cut_off);
}

// Mail, tables and lists, as seed_tasks.yaml shows them.
TEST(Tasks, AnInputGoesOnOverLinesBlankOnesAndNumbers) {
  const auto tasks = parse_tasks(
      " Reply.\nText:\nDear Ann,\n\n1. Eggs\n2. Milk\n21. Rice\n\n  Bob\n\n7. "
      "Task: Add.\nText: item | price\ntea | 3\n\n\n8. Task: End.\nText: None",
      6, false, kForm);
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[0].input, "Dear Ann,\n\n1. Eggs\n2. Milk\n21. Rice\n\n  Bob");
  EXPECT_EQ(tasks[1].input, "item | price\ntea | 3");
  EXPECT_EQ(tasks[2].input, "");
}

TEST(Tasks, AnInputSaidTwiceOrTakenBackIsRead) {
  const auto tasks = parse_tasks(
      " A.\nText: One.\nText: None\n7. Task: B.\nText: None.\n\nAnd so on.", 6,
      false, kForm);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].input, "One.");
  EXPECT_EQ(tasks[1].input, "");
}

TEST(Tasks, EndAtANumberOutOfOrder) {
  const auto tasks =
      parse_tasks(" A.\nText: n/a\n9. Task: B.\nText: x", 6, false, kForm);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].input, "");
  EXPECT_EQ(parse_tasks("", 6, false, kForm).at(0).task, "");
  EXPECT_EQ(parse_tasks("\n", 6, false, kForm).at(0).task, "");
}

TEST(Tasks, InputFollowsABlankLine) {
  EXPECT_EQ(join_instruction("Do.", ""), "Do.");
  EXPECT_EQ(join_instruction("Do.", "this"), "Do.\n\nthis");
}

TEST(Topics, AreReadInOrder) {
  const auto items =
      parse_list(" Sea salt.\n5. Ice\n6.  Tea \nthe end\n7. Fog", 4, false);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].text, "Sea salt.");
  EXPECT_EQ(items[2].text, "Tea");
  EXPECT_FALSE(items[2].cut_off);
  const auto cut = parse_list(" Sea\n5. Ic", 4, true);
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_FALSE(cut[0].cut_off);
  EXPECT_TRUE(cut[1].cut_off);
  EXPECT_EQ(parse_list("", 4, true).at(0).text, "");
}

}  // namespace
}  // namespace selfalign::parse
