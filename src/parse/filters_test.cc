// SPDX-License-Identifier: Apache-2.0
#include "parse/filters.h"

#include <gtest/gtest.h>

#include "parse/dedup.h"
#include "parse/lists.h"
#include "recipe/prompts.h"

namespace selfalign::parse {
namespace {

std::string reason(const Judgement& judgement) {
  return judgement ? judgement->reason : "";
}

std::string task(const std::string& text) {
  return reason(judge_instruction(text, false));
}

TEST(Instructions, AreKeptWhenATextModelCanDoThem) {
  for (const char* text :
       {"Explain how bread rises.", "What is 4,817 multiplied by 2,096?",
        "Write a caption for a photo of a sunset over the sea.",
        "\"Carpe diem\": translate it into English.",
        "Who drew the first map of the world?",
        "Make a list of pictures one could hang in a kitchen."}) {
    EXPECT_EQ(task(text), "") << text;
  }
}

TEST(Instructions, AreRejectedForTheRightReason) {
  EXPECT_EQ(task("- Explain how bread rises."), "malformed");
  EXPECT_EQ(task(""), "malformed");
  EXPECT_EQ(task("Sum up the text. Task: more of it"), "malformed");
  EXPECT_EQ(task("Sing loudly"), "too_short");
  EXPECT_EQ(task("word " + std::string(1000, 'a') + " the b"), "");
  std::string long_text = "Say";
  for (int i = 0; i < 160; ++i) long_text += " the word" + std::to_string(i);
  EXPECT_EQ(task(long_text), "too_long");
  EXPECT_EQ(task("Tell me \xef\xbf\xbd about the sea."), "garbled");
  EXPECT_EQ(task("A 1 = 2 + 3 * 4 - 5 / 6 ^ 7 %% 8 !!"), "garbled");
  EXPECT_EQ(task("Escribe una carta formal para solicitar empleo hoy mismo."),
            "not_english");
  EXPECT_EQ(task("Расскажи мне про хлеб и the sea."), "not_english");
  EXPECT_EQ(task("Write a letter to [name] about the weather."), "placeholder");
  EXPECT_EQ(task("Say it: the sea the sea the sea the sea the sea the sea"),
            "repetition");
}

// A table to work on has columns and figures; the task itself has neither.
TEST(Instructions, MayHaveTablesAndFiguresAsInput) {
  EXPECT_EQ(task("Add up the rows of this table.\n\nitem | price\ntea | 3"),
            "");
  EXPECT_EQ(task("What is the mean of these readings?\n\n"
                 "12.5, 13.0, 12.8, 13.1, 12.9, 13.3, 12.7"),
            "");
  EXPECT_EQ(task("Live scores | Tennis | Who is winning?"), "malformed");
  EXPECT_EQ(task("5, 7, 9, 11: go on.\n\nThis is the text to go on with."),
            "garbled");
  std::string figures;
  for (int i = 1000; i < 1040; ++i) figures += std::to_string(i * i) + ", ";
  EXPECT_EQ(task("Add up these figures.\n\n" + figures), "garbled");
}

TEST(Instructions, ThatNeedEyesEarsOrHandsAreForRedTeamingOnly) {
  for (const char* text :
       {"Draw a house with a garden.", "Describe this picture in detail.",
        "Create a bar chart of the sales.", "Remind me to buy milk tomorrow.",
        "What is shown in the attached image?"}) {
    EXPECT_EQ(task(text), "not_text") << text;
    EXPECT_EQ(reason(judge_instruction(text, true)), "") << text;
  }
}

TEST(Topics, AreShortNames) {
  EXPECT_EQ(reason(judge_topic("Stock prices")), "");
  EXPECT_EQ(reason(judge_topic("12")), "too_short");
  EXPECT_EQ(reason(judge_topic("how to buy stock in a shop")), "too_long");
}

class AnswersTest : public ::testing::Test {
 protected:
  std::string judge(const std::string& answer,
                    generate::Finish finish = generate::Finish::kStop) {
    return reason(judge_answer(answer, {instruction_, answer, finish}, frame_));
  }
  std::string instruction_ = "Tell me why the sea is salty and who says so.";
  AnswerFrame frame_ = {
      .exemplars = {"Octopuses are soft animals with eight arms and three "
                    "hearts."},
      .marks = {"Sage (internal thoughts):", ""}};
};

TEST_F(AnswersTest, ShortCutAndPlainOnesAreKept) {
  EXPECT_EQ(judge("42."), "");
  EXPECT_EQ(judge("The president spoke about the weather."), "");
  EXPECT_EQ(judge("It goes on and", generate::Finish::kLength), "");
  EXPECT_EQ(judge("```\nfor (i = 0; i < n; ++i) { a[i] = b[i] + c[i]; }\n```"),
            "");
}

TEST_F(AnswersTest, FaultsAreNamed) {
  EXPECT_EQ(judge("", generate::Finish::kNoRoom), "no_room");
  EXPECT_EQ(judge(""), "no_answer");
  EXPECT_EQ(judge("a \x01 b"), "garbled");
  EXPECT_EQ(judge("Это ответ на русском языке"), "not_english");
  EXPECT_EQ(judge("Yes.\nSage (internal thoughts): so"), "leaks_prompt");
  EXPECT_EQ(judge("I should follow rules 3 and 4."), "leaks_prompt");
  EXPECT_EQ(judge("The user asks about salt. It is salt."), "leaks_prompt");
  EXPECT_EQ(judge("It is salt.\n\nThe user asks what it is."), "leaks_prompt");
  EXPECT_EQ(judge("As rules 3 (helpful) says, yes."), "leaks_prompt");
  EXPECT_EQ(judge("In chess, rule 3 forbids it."), "");
  EXPECT_EQ(judge("Octopuses are soft animals with eight arms."),
            "copies_exemplar");
  EXPECT_EQ(judge("The sea is deep. Octopuses are SOFT animals, with eight "
                  "arms and three hearts! They like it there, and so do a "
                  "great many other animals of every size."),
            "copies_exemplar");
  EXPECT_EQ(judge("Here is the reason:"), "announces_only");
  EXPECT_EQ(judge("Tell me why the sea is salty and who says so!"),
            "copies_instruction");
  EXPECT_EQ(judge("The sea is salty, and it is the sea."),
            "copies_instruction");
  std::string loop;
  for (int i = 0; i < 10; ++i) loop += "It is very salty indeed. ";
  EXPECT_EQ(judge(loop), "repetition");
}

// The human-written seeds are what good instructions look like.
TEST(Instructions, SeedsPassTheFilter) {
  for (const char* folder : {"prompts", "prompts/small"}) {
    for (const recipe::SeedTask& seed :
         recipe::load_prompts(folder).seed_tasks) {
      const Judgement judgement = judge_instruction(
          join_instruction(seed.instruction, seed.input), false);
      EXPECT_FALSE(judgement) << seed.instruction << " " << judgement->reason
                              << " " << judgement->detail;
    }
  }
}

TEST(Dedup, FindsWhatIsTooClose) {
  Dedup dedup(0.7);
  dedup.keep("Explain how bread rises in the oven.");
  EXPECT_FALSE(dedup.find("Name three birds."));
  const auto like = dedup.find("Explain how bread rises in an oven.");
  ASSERT_TRUE(like);
  EXPECT_EQ(like->substr(0, 10), "0.86 with:");
}

}  // namespace
}  // namespace selfalign::parse
