// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/scripted.h"
#include "local/training_samples.h"
#include "recipe/testing.h"

namespace selfalign::cli {
namespace {

using ::testing::HasSubstr;

struct Scripted {
  std::vector<generate::Request> seen;
  ChatSession session(int max_context) {
    generate::ScriptedOptions options;
    options.script = [this](const generate::Request& request) {
      seen.push_back(request);
      return "  answer " + std::to_string(seen.size()) + "\nU: forged";
    };
    generate::Sampling sampling;
    sampling.max_new_tokens = 10;
    return ChatSession(generate::make_scripted_generator(options),
                       recipe::chat_layout(), sampling, max_context, 0);
  }
};

TEST(ChatSessionTest, TheModelSeesTheTurnsBefore) {
  Scripted model;
  ChatSession session = model.session(1000);
  EXPECT_EQ(session.answer("one {braces}")->text, "answer 1");
  EXPECT_EQ(session.answer("two")->text, "answer 2");
  EXPECT_EQ(recipe::whole_prompt(model.seen[0]),
            "About.\n\nU: one {braces}\nA: ");
  EXPECT_EQ(recipe::whole_prompt(model.seen[1]),
            "About.\n\nU: one {braces}\nA: answer 1\nU: two\nA: ");
  session.clear();
  session.answer("three");
  EXPECT_EQ(recipe::whole_prompt(model.seen[2]), "About.\n\nU: three\nA: ");
  EXPECT_NE(model.seen[0].key, model.seen[2].key);
  // What is asked once more after /clear is drawn anew.
  session.clear();
  session.answer("three");
  EXPECT_EQ(recipe::whole_prompt(model.seen[3]),
            recipe::whole_prompt(model.seen[2]));
  EXPECT_NE(model.seen[3].key, model.seen[2].key);
}

TEST(ChatSessionTest, TheAnswerIsShownAsItIsMade) {
  generate::ScriptedOptions options;
  options.script = [](const generate::Request&) {
    return " \n one two \n\n  three \n \nU: forged";
  };
  ChatSession session(generate::make_scripted_generator(options),
                      recipe::chat_layout(), {}, 1000, 0);
  std::vector<std::string> pieces;
  const auto answer = session.answer(
      "q", [&](std::string_view piece) { pieces.emplace_back(piece); });
  EXPECT_EQ(answer->text, "one two \n\n  three");
  EXPECT_EQ(pieces, (std::vector<std::string>{"one", " two", " \n\n  three"}));
}

TEST(ChatSessionTest, TheOldestTurnsGoWhereThereIsNoRoom) {
  Scripted model;
  ChatSession session = model.session(24);  // words are tokens here
  for (const char* user : {"one", "two", "three"}) session.answer(user);
  EXPECT_EQ(session.num_left_out(), 1u);
  EXPECT_EQ(recipe::whole_prompt(model.seen[2]),
            "About.\n\nU: two\nA: answer 2\nU: three\nA: ");
}

TEST(ChatSessionTest, AnInterruptEndsTheAnswerAndLeavesNoTurn) {
  Scripted model;
  ChatSession session = model.session(1000);
  set_interrupted(true);
  EXPECT_EQ(session.answer("one"), std::nullopt);
  set_interrupted(false);
  ASSERT_TRUE(session.answer("two"));
  EXPECT_EQ(recipe::whole_prompt(model.seen.back()), "About.\n\nU: two\nA: ");
}

TEST(ReadChatPromptTest, TheProjectsOwnPrompts) {
  for (const std::string& form : recipe::chat_forms()) {
    if (form == "none") continue;
    const recipe::ChatPrompt one = recipe::read_chat_prompt("prompts", form);
    EXPECT_THAT(one.prompt, HasSubstr("AI assistant"));
    EXPECT_EQ(one.prompt.find('{'), std::string::npos) << one.prompt;
    EXPECT_THAT(one.user, HasSubstr("{instruction}"));
    EXPECT_FALSE(one.stop.empty());
  }
  EXPECT_EQ(recipe::read_chat_prompt("prompts", "none").prompt, "");
  EXPECT_THROW(
      recipe::read_chat_prompt(testing::TempDir() + "/nothing", "final"),
      Error);
}

// The turns of a form stand before the chat's own and are never left out.
TEST(ChatSessionTest, AChatGoesOnUnderEveryInferencePrompt) {
  for (const std::string& form : recipe::inference_forms()) {
    const recipe::ChatPrompt chat = recipe::read_chat_prompt("prompts", form);
    std::vector<std::string> seen;
    generate::ScriptedOptions options;
    options.script = [&seen](const generate::Request& request) {
      seen.push_back(recipe::whole_prompt(request));
      return "answer " + std::to_string(seen.size());
    };
    generate::Sampling sampling;
    sampling.max_new_tokens = 10;
    ChatSession session(generate::make_scripted_generator(options), chat,
                        sampling, 4096, 0);
    session.answer("first?");
    session.answer("second?");
    EXPECT_EQ(seen.at(1), chat.prompt +
                              "### User\nfirst?\n\n### Sage\nanswer 1\n\n"
                              "### User\nsecond?\n\n### Sage\n")
        << form;
  }
}

// What a tuned model reads before its second answer is what a chat shows it.
TEST(TrainingSamplesTest, AConversationIsLaidOutAsInAChat) {
  const auto given = [](formats::Conversation conversation) {
    stages::Dialogue dialogue = stages::find_exchanges(conversation);
    return stages::GivenConversation{"", std::move(conversation),
                                     std::move(dialogue)};
  };
  const std::vector<stages::GivenConversation> rows = {
      given({{{"user", "q"},
              {"assistant", "a"},
              {"user", "r"},
              {"assistant", "b"}}}),
      given({{{"user", "unanswered"}}}),
      given({{{"system", "Be brief."}, {"user", "q"}, {"assistant", "a"}}})};
  const auto samples = local::training_samples(rows, recipe::chat_layout());
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_NE(samples[0].key, samples[1].key);
  const std::vector<stages::TrainingTurn>& turns = samples[0].turns;
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].prompt, "About.\n\nU: q\nA: ");
  EXPECT_EQ(turns[0].response, "a");
  EXPECT_TRUE(turns[0].ends);
  EXPECT_EQ(turns[1].prompt, "\nU: r\nA: ");
  EXPECT_EQ(turns[1].response, "b");
  EXPECT_EQ(
      turns[0].prompt + turns[0].response + turns[1].prompt,
      recipe::render_chat(recipe::chat_layout(), {{"q", "a"}}, 0, "r").text);
  ASSERT_EQ(samples[1].turns.size(), 1u);
  EXPECT_EQ(samples[1].turns[0].prompt, "Be brief.\n\nU: q\nA: ");
}

}  // namespace
}  // namespace selfalign::cli
