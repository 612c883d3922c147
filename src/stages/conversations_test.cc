// SPDX-License-Identifier: Apache-2.0
#include "stages/conversations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::stages {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

std::string problem_of(const formats::Conversation& conversation) {
  return find_exchanges(conversation).problem;
}

TEST(FindExchanges, SaysWhyAConversationCannotBeUsed) {
  EXPECT_EQ(problem_of({{{"user", "q"}, {"assistant", "a"}}}), "");
  EXPECT_EQ(problem_of({{{"assistant", "x"},
                         {"user", "q"},
                         {"assistant", "a"},
                         {"user", "r"}}}),
            "");
  EXPECT_EQ(problem_of({}), "no_answer");
  EXPECT_EQ(problem_of({{{"system", "s"}}}), "no_answer");
  EXPECT_EQ(problem_of({{{"user", "q"}}}), "no_answer");
  EXPECT_EQ(problem_of({{{"user", "q"}, {"assistant", " \n"}}}), "no_answer");
  EXPECT_EQ(problem_of({{{"user", "q"}, {"user", "r"}, {"assistant", "a"}}}),
            "out_of_turn");
  EXPECT_EQ(problem_of({{{"user", "q"}, {"system", "s"}}}), "out_of_turn");
  EXPECT_EQ(problem_of({{{"system", "s"},
                         {"system", "t"},
                         {"user", "q"},
                         {"assistant", "a"}}}),
            "out_of_turn");
  EXPECT_EQ(problem_of({{{"user", "q"}, {"assistant", "a", false}}}),
            "not_learnt");
}

TEST(FindExchanges, TextsThatShowNothingAreEmpty) {
  using std::string_literals::operator""s;
  for (const std::string& text :
       {"\u00a0"s, "\u200b"s, "\ufeff"s, "\u3000"s, "\u2003"s, "\u2028"s,
        "\u00ad"s, "\u200d"s, "\0"s}) {
    EXPECT_EQ(problem_of({{{"user", "q"}, {"assistant", text}}}), "no_answer");
    EXPECT_EQ(problem_of({{{"user", text}, {"assistant", "a"}}}), "no_answer");
    const Dialogue found =
        find_exchanges({{{"system", text}, {"user", "q"}, {"assistant", "a"}}});
    EXPECT_EQ(found.problem, "");
    EXPECT_EQ(found.system, "");
  }
}

TEST(FindExchanges, TrimsAnswersAsAChatDoes) {
  const Dialogue found = find_exchanges(
      {{{"system", " S\n"}, {"user", " q \n"}, {"assistant", "\n a  b \r\n"}}});
  EXPECT_EQ(found.system, " S\n");
  ASSERT_EQ(found.turns.size(), 1u);
  EXPECT_EQ(found.turns[0].user, " q \n");
  EXPECT_EQ(found.turns[0].answer, "a  b");
}

TEST(FindExchanges, NamesTheTurnAsTheRowDoes) {
  const auto detail_of = [](const formats::Conversation& conversation) {
    return find_exchanges(conversation).detail;
  };
  EXPECT_EQ(detail_of({{{"user", "q", true, "'instruction'"},
                        {"assistant", " ", true, "'output'"}}}),
            "'output' (assistant): expected text, found none that can be seen");
  EXPECT_EQ(detail_of({{{"system", "S", true, "'system'"},
                        {"user", "q", true, "turn 1"},
                        {"user", "r", true, "turn 2"},
                        {"assistant", "a", true, "turn 3"}}}),
            "turn 2: expected the assistant, found the user");
  EXPECT_EQ(detail_of({{{"user", "q"}, {"assistant", ""}}}),
            "turn 2 (assistant): expected text, found none that can be seen");
}

TEST(TrainingTurns, AnAnswerThatIsNotLearntIsRead) {
  recipe::ChatPrompt chat;
  chat.prompt = "About.\n";
  chat.user = "U: {instruction}\n";
  chat.answer = "A: ";
  chat.between = "\n";
  Dialogue dialogue;
  dialogue.turns = {{"q", "a", false}, {"r", "b"}, {"s", "c", false}};
  const auto turns = training_turns(chat, dialogue);
  ASSERT_EQ(turns.size(), 3u);
  EXPECT_EQ(turns[0].prompt, "About.\nU: q\nA: ");
  EXPECT_EQ(turns[0].response, "a");
  EXPECT_FALSE(turns[0].learn);
  EXPECT_EQ(turns[1].prompt, "\nU: r\nA: ");
  EXPECT_EQ(turns[1].response, "b");
  EXPECT_TRUE(turns[1].ends);
  EXPECT_TRUE(turns[1].learn);
  EXPECT_FALSE(turns[2].learn);
  dialogue.system = "Sys.";
  EXPECT_EQ(training_turns(chat, dialogue)[0].prompt, "Sys.\n\nU: q\nA: ");
}

TEST(TrainingTurns, DigestsOfWhatIsLearntAreThoseOfTheEndAlone) {
  EXPECT_EQ((TrainingTurn{"q", "a", true}).flags(), 1u);
  EXPECT_EQ((TrainingTurn{"q", "a", false}).flags(), 0u);
  EXPECT_EQ((TrainingTurn{"q", "a", true, false}).flags(), 3u);
  EXPECT_EQ((TrainingTurn{"q", "a", false, false}).flags(), 2u);
}

class ReadConversations : public testing::Test {
 protected:
  std::string write(const std::string& text) const {
    const std::string path = folder_.path() + "/d.jsonl";
    write_file_atomic(path, text);
    return path;
  }

  ScratchFolder folder_;
};

TEST_F(ReadConversations, KeepsTheBadRowsWithTheirProblems) {
  const std::string good = "{\"prompt\": \"q\", \"completion\": \"a\"}\n";
  const std::string path =
      write(good + "{\"prompt\": \"q\", \"completion\": \"\"}\n" +
            "{\"prompt\": \"q\"}\n{\"messages\": []}\n" + good);
  const auto rows = read_conversations(path);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[4].dialogue.turns.at(0).answer, "a");
  EXPECT_THAT(count_problems(rows),
              ElementsAre(Pair("no_answer", 2), Pair("unreadable", 1)));
  EXPECT_EQ(read_conversations(path, 2).size(), 2u);
}

TEST_F(ReadConversations, RowsThatDoNotFitAreTooLong) {
  const std::string path = write(
      "{\"prompt\": \"q\", \"completion\": \"a\"}\n3\n"
      "{\"prompt\": \"r\", \"completion\": \"b\"}\n");
  auto rows = read_conversations(path);
  recipe::ChatPrompt chat;
  chat.user = "{instruction}";
  const auto samples = conversation_samples(rows, chat);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[1].key, 2u);
  reject_too_long(rows, {true, false}, 64);
  EXPECT_THAT(count_problems(rows),
              ElementsAre(Pair("too_long", 1), Pair("unreadable", 1)));
  EXPECT_EQ(rows[2].dialogue.detail,
            "expected an answer that begins within 64 tokens, found none");
  EXPECT_EQ(conversation_samples(rows, chat).size(), 1u);
  reject_too_long(rows, {false}, 64);
  EXPECT_THAT(error_of([&] { warn_of_problems(path, rows); }).what(),
              HasSubstr("3 of 3 rows are left out: 2 too_long, 1 unreadable"));
}

TEST(LeftOut, SaysOneAndMany) {
  EXPECT_THAT(left_out("f", 4, {{"f: line 1", "no_answer", ""}}),
              HasSubstr("f: 1 of 4 rows is left out: 1 no_answer"));
  EXPECT_THAT(left_out("f", 1, {{"f: line 1", "no_answer", ""}}),
              HasSubstr("f: 1 of 1 row is left out: 1 no_answer"));
}

TEST_F(ReadConversations, AFileOfBadRowsIsAnError) {
  const Error error = error_of([&] {
    read_conversations(write("{\"messages\": []}\n{\"messages\": []}\n3\n"));
  });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.what(),
              HasSubstr("d.jsonl: 3 of 3 rows are left out: 2 no_answer, "
                        "1 unreadable; the first of each:\n"));
  EXPECT_THAT(error.what(), HasSubstr("d.jsonl: line 1: no_answer"));
  EXPECT_THAT(error.what(), Not(HasSubstr("line 2")));
  EXPECT_THAT(error.what(),
              HasSubstr("line 3: unreadable: expected an object, found 3"));
}

}  // namespace
}  // namespace selfalign::stages
