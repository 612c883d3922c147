// SPDX-License-Identifier: Apache-2.0
#include "text/root_verb.h"

#include <gtest/gtest.h>

namespace selfalign::text {
namespace {

std::string root(const std::string& instruction) {
  const auto found = find_root_verb(instruction);
  return found ? found->verb + " " + found->noun : "none";
}

TEST(RootVerb, FindsVerbAndObject) {
  EXPECT_EQ(root("Write a short poem about roses."), "write poem");
  EXPECT_EQ(root("Give me three names for a cat"), "give name");
  EXPECT_EQ(root("Classify the following sentences into groups."),
            "classify sentence");
  EXPECT_EQ(root("List two cities, and explain why."), "list city");
  EXPECT_EQ(root("Explain why the sky is blue."), "explain ");
}

TEST(RootVerb, LooksBehindOpeners) {
  EXPECT_EQ(root("Please help me write a letter to my boss."), "write letter");
  EXPECT_EQ(root("Could you suggest some classes?"), "suggest class");
  EXPECT_EQ(root("Given a list of words, sort it."), "sort ");
  EXPECT_EQ(root("Help the man."), "help man");
}

TEST(RootVerb, QuestionsHaveNone) {
  EXPECT_EQ(root("What is the capital of France?"), "none");
  EXPECT_EQ(root(""), "none");
  EXPECT_EQ(root("?!\xff."), "none");
}

}  // namespace
}  // namespace selfalign::text
