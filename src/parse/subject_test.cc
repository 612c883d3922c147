// SPDX-License-Identifier: Apache-2.0
#include "parse/subject.h"

#include <gtest/gtest.h>

#include "recipe/prompts.h"

namespace selfalign::parse {
namespace {

TEST(ContentWords, HaveNoEndingsAndNothingCommon) {
  EXPECT_EQ(content_words("How are the 2 baked cakes made? Slowly."),
            (std::set<std::string>{"2", "bak", "cak", "slow"}));
  EXPECT_TRUE(content_words("What is it?").empty());
}

TEST(SharesSubject, WhereAWordOfContentIsInBoth) {
  EXPECT_TRUE(shares_subject("How do I bake a cake?", "Baking takes an hour."));
  EXPECT_FALSE(
      shares_subject("Who should you marry?", "This is a difficult question."));
  EXPECT_TRUE(shares_subject("Can you do it?", "I cannot see what you mean."));
}

TEST(SaysNothingNew, WhereTheWordsAreTheInstructions) {
  for (const auto& [instruction, answer] :
       {std::pair{"List the best nuclear submarine.",
                  "The best nuclear submarine is a nuclear submarine."},
        {"Help me, confirm.",
         "I can confirm, but I need to know how to confirm."},
        {"What is the most famous person?",
         "The most famous person is none."}}) {
    EXPECT_TRUE(says_nothing_new(instruction, answer)) << answer;
  }
}

TEST(SaysNothingNew, NotWhereThatIsTheAnswer) {
  for (const auto& [instruction, answer] :
       {std::pair{"What is 3 times 4?", "3 times 4 is equal to 12."},
        {"Which is larger, an elephant or a mouse?",
         "An elephant is larger than a mouse."},
        {"Pick out the animals.\n\nThe dog chased the cat.",
         "The animals are the dog and the cat."},
        {"Correct this: He go home.", "Correct this, he go home now."},
        {"Is a whale an animal?", "Yes, a whale is an animal."},
        {"Who are you?", "I am you."}}) {
    EXPECT_FALSE(says_nothing_new(instruction, answer)) << answer;
  }
}

TEST(NewContentShare, CountsEachNewWordOfContentOnce) {
  const std::string asked = "What is the capital of France?";
  // "capital" and "France" are the request's, "pari" is new, of six words.
  EXPECT_DOUBLE_EQ(new_content_share(asked, "The capital of France is Paris."),
                   1.0 / 6.0);
  EXPECT_DOUBLE_EQ(new_content_share(asked, "Paris, Paris, Paris!"), 1.0 / 3.0);
  EXPECT_EQ(new_content_share(asked, "France has a capital."), 0.0);
  EXPECT_EQ(new_content_share(asked, "..."), 1.0);
  EXPECT_EQ(new_content_share("Repeat: a cat", "A cat"), 1.0);
}

TEST(SaysNothingNew, NoExemplarDoes) {
  for (const recipe::Exemplar& exemplar :
       recipe::load_prompts("prompts").exemplars) {
    for (const recipe::ExemplarTurn& turn : exemplar.turns) {
      EXPECT_FALSE(says_nothing_new(turn.user, turn.answer)) << turn.answer;
    }
  }
}

}  // namespace
}  // namespace selfalign::parse
