// SPDX-License-Identifier: Apache-2.0
#include "parse/sentences.h"

#include <gtest/gtest.h>

#include "recipe/prompts.h"

namespace selfalign::parse {
namespace {

using Sentences = std::vector<std::string>;

TEST(SplitSentences, EndAtMarksBeforeSpaceAndAtLineBreaks) {
  EXPECT_EQ(
      split_sentences("It is 3.5 m. Is it? Yes!\n1. One\n\n* two"),
      (Sentences{"It is 3.5 m.", "Is it?", "Yes!", "1.", "One", "* two"}));
  EXPECT_EQ(split_sentences(" \n"), Sentences{});
}

const Sentences kExamples = {
    "Finally, many people keep bees for pleasure. It is fun.\n"
    "The hobby takes them outdoors, teaches them about weather and plants, and "
    "lets them watch an animal society at close range."};

std::string copied(const std::string& answer,
                   const std::string& instruction = "Tell me about cats.") {
  return copied_sentence(answer, kExamples, instruction).value_or("");
}

TEST(CopiedSentence, IsFoundWhereverItStandsAndHoweverItIsWritten) {
  EXPECT_EQ(copied("Cats purr. FINALLY many people keep bees -- for pleasure, "
                   "as is well known."),
            "finally many people keep bees for pleasure");
  EXPECT_EQ(copied("A cat teaches them about weather and plants, and lets them "
                   "watch an animal at home."),
            "teaches them about weather and plants and lets them watch an "
            "animal");
}

TEST(CopiedSentence, IsNoneWhereWordsDifferOrAreFewOrWereAskedFor) {
  EXPECT_EQ(copied("Finally, many people keep cats for pleasure."), "");
  EXPECT_EQ(copied("It is fun. Many people keep bees for pleasure."), "");
  EXPECT_EQ(copied("It teaches them about weather and plants, and lets them "
                   "watch an ant."),
            "");
  EXPECT_EQ(copied("It says: Finally, many people keep bees for pleasure.",
                   "Repeat: \"Finally, many people keep bees for pleasure.\""),
            "");
}

TEST(OnlyAnnounces, WhatEndsInAColonOrSaysThatATextComes) {
  for (const char* answer :
       {"The most scammy paragraph is:", "Here is the list:",
        "**Here are the steps:**", "Here is the list:\n\n1.",
        "Sure! Here is a poem about the sea.", "The code is:\n```\n```",
        "Of course, here's a short story for you.", "I will write a poem.",
        "Let me explain how bread rises.\nThe steps are:",
        "Here are the steps:\n1.\n2.\n3.", "1.", "Sure, here you go!",
        "Certainly, I can help you with that.", "I'd be happy to help!",
        "```\n```", "Here is the code:\n```python\n\n```",
        "| Name | Age |\n|------|-----|",
        "Here is the table:\n\nName | Age\n--- | ---\n", "Step 1:\nStep 2:"}) {
    EXPECT_TRUE(only_announces(answer)) << answer;
  }
}

TEST(OnlyAnnounces, NothingThatSaysMore) {
  for (const char* answer : {"",
                             "42.",
                             "Here is the cat.",
                             "Here are three: red, blue and green.",
                             "Bread rises by yeast. Here is how it works:",
                             "The answer is:\n42.",
                             "Here is the list:\n1. Bread",
                             "I will not help with that.",
                             "Sure.",
                             "Here is a joke: why did the duck cross the road?",
                             "The function is:\n```\nreturn x;\n```",
                             "My favorite ratio is 3:",
                             "| Name | Age |\n|---|---|\n| Ann | 31 |",
                             "The year is:\n1984.",
                             "3.",
                             "1. Bread\n2.\n3.",
                             "I can help you with that form by mail.",
                             "Sure, here you are wrong.",
                             "-",
                             "+",
                             "a | b"}) {
    EXPECT_FALSE(only_announces(answer)) << answer;
  }
}

TEST(ShownAnswers, AreThoseOfTheTurnsOfAChatPrompt) {
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  EXPECT_EQ(shown_answers(prompts.engraved), Sentences{});
  const Sentences shown = recipe::shown_answers(prompts.verbose_distill);
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_TRUE(shown[0].starts_with("People have kept bees")) << shown[0];
  EXPECT_TRUE(shown[0].ends_with("pastime.")) << shown[0];
  recipe::ChatPrompt two = {"Q: Why?\nA: So.\n\nQ: How?\nA: Thus.\n\n",
                            "Q: {instruction}\n",
                            "A: ",
                            "\n\n",
                            {}};
  EXPECT_EQ(shown_answers(two), (Sentences{"So.", "Thus."}));
}

}  // namespace
}  // namespace selfalign::parse
