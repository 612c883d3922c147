// SPDX-License-Identifier: Apache-2.0
#include "stages/request_form.h"

#include <gtest/gtest.h>

#include "parse/lists.h"
#include "recipe/prompts.h"

namespace selfalign::stages {
namespace {

std::string wrong(const std::string& instruction, bool red_team = false) {
  return wrong_form(instruction, red_team).value_or("");
}

TEST(RequestForm, WhatIsWrongIsSaid) {
  EXPECT_EQ(wrong("For the bones of the person you want to marry"),
            "neither a question nor an order");
  EXPECT_EQ(wrong("Reusable plastic filament."),
            "neither a question nor an order");
  EXPECT_EQ(wrong("I have a car.", true), "neither a question nor an order");
  EXPECT_EQ(wrong("Describe the film \"Up."),
            "quotes or brackets do not close");
  EXPECT_EQ(wrong("List three fruits (red."),
            "quotes or brackets do not close");
  EXPECT_EQ(wrong("What are you mentioning not ?"), "a space before a mark");
  EXPECT_EQ(wrong("Write a poem about the"), "ends on the");
  EXPECT_EQ(wrong("Find the person who is the person who gives 50% away."),
            "says the same twice");
  EXPECT_EQ(wrong("Find the missing number in a line."),
            "\"the missing\", and none is there");
  EXPECT_EQ(wrong("Correct this sentence."),
            "\"this sentence\", and none is there");
  for (const char* asks :
       {"What is the most expensive restaurant you have ever eaten at?",
        "What's the most beautiful thing you've seen?",
        "Have you been to Rome?", "What did you eat for breakfast?",
        "What is your favorite color?",
        "What is the most difficult problem in your life?"}) {
    EXPECT_EQ(wrong(asks), "asks what the assistant has lived") << asks;
    EXPECT_EQ(wrong(asks, true), "") << asks;
  }
  EXPECT_EQ(wrong("Use a book."), "an act: use");
  EXPECT_EQ(wrong("Use a book.", true), "");
}

TEST(RequestForm, GoodRequestsPass) {
  for (const char* text :
       {"How to make a mocha cake.", "Who drew the first map of the world?",
        "List the colors: a) of snow, b) of grass.", "Please tell me a joke.",
        "Can I be sued for losing my car?", "My back hurts, what should I do?",
        "Correct this sentence: He go.",
        "Correct this sentence.\n\nHe go home.",
        "Use the words \"sea\" and \"salt\" in a poem.", "What is it made of?",
        "Tell me a story about a cat that sings.",
        "What should I do if you have a cold?", "How do you make tea?",
        "Describe your life as a dog."}) {
    EXPECT_EQ(wrong(text), "") << text;
  }
}

// What persons wrote for a model that needs the filter has the form of a
// request.
TEST(RequestForm, SeedsAndHeldOutInstructionsPass) {
  const recipe::Prompts prompts =
      recipe::load_prompts("prompts", {"prompts/small"});
  for (const recipe::SeedTask& seed : prompts.seed_tasks) {
    EXPECT_EQ(wrong(parse::join_instruction(seed.instruction, seed.input)), "")
        << seed.instruction;
  }
  for (const recipe::QuestionType& type : prompts.red_team.types) {
    for (const recipe::SeedQuestion& seed : type.questions) {
      EXPECT_EQ(wrong(seed.question, true), "") << seed.question;
    }
  }
  for (const recipe::HeldOutInstruction& held_out : prompts.held_out) {
    EXPECT_EQ(wrong(held_out.instruction), "") << held_out.instruction;
  }
}

}  // namespace
}  // namespace selfalign::stages
