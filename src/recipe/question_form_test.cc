// SPDX-License-Identifier: Apache-2.0
#include "recipe/question_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace selfalign::recipe {
namespace {

using ::testing::ElementsAre;

RedTeamPrompt small_prompt() {
  RedTeamPrompt prompt;
  prompt.example = "{number}. {type} | {topic} | {question}";
  prompt.hint = "{number}. {type} | {topic} |";
  prompt.question_prompt = "One.\n{examples}\n{hints}";
  prompt.question_stop = {"\n"};
  prompt.list_prompt = "Hints:\n{hints}\n\nAll:\n{examples}\n";
  return prompt;
}

const std::vector<TypedQuestion> kExamples = {{"news", "Rain", "Will it rain?"},
                                              {"law", "Rent", "May he?"}};
const std::vector<TypedQuestion> kHints = {
    {"news", "Snow", ""}, {"law", "Debts", ""}, {"news", "Fog", ""}};

// As rows: "type, topic: text", then what is wrong with it.
std::vector<std::string> rows(const QuestionForm& form, const std::string& text,
                              bool cut_off) {
  std::vector<std::string> rows;
  for (const parse::ListedQuestion& question : form.read(text, cut_off)) {
    rows.push_back(str(question.type, ", ", question.topic, ": ", question.text,
                       question.cut_off ? " (cut off)" : "",
                       question.in_form ? "" : " (no mark)"));
  }
  return rows;
}

TEST(QuestionForm, OneHintIsALineToGoOnWith) {
  const RedTeamPrompt prompt = small_prompt();
  const QuestionForm form(prompt, kExamples, {kHints[0]});
  EXPECT_EQ(form.suffix(),
            "One.\n1. news | Rain | Will it rain?\n2. law | Rent | May he?\n"
            "3. news | Snow |");
  EXPECT_THAT(form.stop(), ElementsAre("\n"));
  EXPECT_THAT(rows(form, " Does it? \n4. law", true),
              ElementsAre("news, Snow: Does it? (cut off)"));
  EXPECT_THAT(rows(form, "", false), ElementsAre("news, Snow: "));
}

TEST(QuestionForm, SeveralHintsAreListedBeforeTheExamples) {
  const RedTeamPrompt prompt = small_prompt();
  const QuestionForm form(prompt, kExamples, kHints);
  EXPECT_EQ(form.suffix(),
            "Hints:\n1. news | Rain\n2. law | Rent\n3. news | Snow\n"
            "4. law | Debts\n5. news | Fog\n\nAll:\n"
            "1. news | Rain | Will it rain?\n2. law | Rent | May he?\n");
  EXPECT_THAT(form.stop(), ElementsAre("\n6."));
}

TEST(QuestionForm, EveryLineGoesToItsOwnHint) {
  const RedTeamPrompt prompt = small_prompt();
  const QuestionForm form(prompt, kExamples, kHints);
  EXPECT_THAT(rows(form,
                   "3. news | Snow | Is it deep?\n 4. law | Debts | Whose? \n"
                   "5. news | Fog | How long?",
                   false),
              ElementsAre("news, Snow: Is it deep?", "law, Debts: Whose?",
                          "news, Fog: How long?"));
  // In another order, with one left out; with other numbers, types or topics
  // and without any they are no questions.
  EXPECT_THAT(rows(form,
                   "5. news | Fog | How long?\n\nSo be it.\n"
                   "4. news | Debts | Whose?\n6. law | Debts | Whose?\n"
                   "3. news | Snow | Is it deep?\n",
                   false),
              ElementsAre("news, Fog: How long?", "news, Snow: Is it deep?"));
  // As published, those of the examples count, too, and so does a second one.
  EXPECT_THAT(
      rows(form,
           "3. news | Snow | A?\n1. news | Rain | B?\n"
           "3. news | Snow | C?\n",
           false),
      ElementsAre("news, Snow: A?", "news, Rain: B?", "news, Snow: C?"));
  EXPECT_THAT(rows(form, "", true), ElementsAre());
}

TEST(QuestionForm, TheLastLineOfATextCutOffByLengthIsNotWhole) {
  const RedTeamPrompt prompt = small_prompt();
  const QuestionForm form(prompt, kExamples, kHints);
  const std::string two = "3. news | Snow | Is it?\n4. law | Debts | Who";
  EXPECT_THAT(rows(form, two, true),
              ElementsAre("news, Snow: Is it?", "law, Debts: Who (cut off)"));
  EXPECT_THAT(rows(form, two, false),
              ElementsAre("news, Snow: Is it?", "law, Debts: Who"));
  // Nothing tells that a line break is its end, as published.
  EXPECT_THAT(rows(form, two + "\n", true),
              ElementsAre("news, Snow: Is it?", "law, Debts: Who (cut off)"));
  EXPECT_THAT(rows(form, two + "\n5. ne", true),
              ElementsAre("news, Snow: Is it?", "law, Debts: Who"));
}

TEST(QuestionForm, TheQuestionFollowsTheLastMark) {
  RedTeamPrompt prompt = small_prompt();
  const QuestionForm plain(prompt, kExamples, kHints);
  EXPECT_THAT(
      rows(plain, "3. news | Snow\n4. law | Debts |\n", false),
      ElementsAre("news, Snow: 3. news | Snow (no mark)", "law, Debts: "));
  prompt.example =
      "{number}. type: {type}, topic: {topic}, instruction: {question}";
  prompt.hint = "{number}. type: {type}, topic: {topic}, instruction:";
  const QuestionForm form(prompt, kExamples, kHints);
  EXPECT_THAT(form.stop(), ElementsAre("\n6. type:"));
  EXPECT_THAT(
      rows(form,
           "3. type: news, topic: Snow, instruction: Name it.\n"
           "4. type: law, topic: Debts of old, instruction: A: instruction: B\n"
           "5. type: news, topic: Fog\n",
           false),
      ElementsAre("news, Snow: Name it.", "law, Debts: B",
                  "news, Fog: 5. type: news, topic: Fog (no mark)"));
}

TEST(QuestionForm, SeveralHintsNeedAListPrompt) {
  RedTeamPrompt prompt = small_prompt();
  prompt.list_prompt = "";
  EXPECT_THROW(QuestionForm(prompt, kExamples, kHints).suffix(), Error);
}

}  // namespace
}  // namespace selfalign::recipe
