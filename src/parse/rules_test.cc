// SPDX-License-Identifier: Apache-2.0
// Rules in thoughts, in every form that models write them.
#include "parse/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace selfalign::parse {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> kNames = {
    "ethical",      "informative",  "helpful", "question assessment",
    "multi-aspect", "step-by-step", "candor"};

std::vector<int> rules(const std::string& thought) {
  return find_rules(thought, kNames).rules;
}
int count(const std::string& thought, RuleForm form) {
  return find_rules(thought, kNames).count(form);
}

TEST(Rules, AreNumbersWithTheirNames) {
  const FiredRules fired = find_rules(
      "Like 2 (two) birds. I should follow rules 3 (helpful), 4 "
      "(Question-Assessment) and 3 (helpful). It took 5 (five) days.",
      kNames);
  EXPECT_THAT(fired.rules, ElementsAre(3, 4));
  EXPECT_EQ(fired.count(RuleForm::kWhole), 3);
  EXPECT_EQ(fired.num_malformed(), 0);
}

TEST(Rules, WholeOnesCountAnywhereAndInAnyOrder) {
  EXPECT_THAT(rules("I think of 3 (helpful) and 7 [candor]."),
              ElementsAre(3, 7));
  EXPECT_THAT(rules("Rules: \"candor\" (7), helpful (3)."), ElementsAre(7, 3));
  EXPECT_THAT(rules("I follow:\n1. ethical\n- 7: Candor\n3 - helpful"),
              ElementsAre(1, 7, 3));
  EXPECT_THAT(rules("I follow rules 2 (informative); 5 (multi aspect)."),
              ElementsAre(2, 5));
  EXPECT_THAT(rules("Rules “informative” and ‘candor’"), ElementsAre(2, 7));
}

TEST(Rules, TheNameDecides) {
  const FiredRules fired =
      find_rules("I follow rules 1 (helpful), 77 (step by step).", kNames);
  EXPECT_THAT(fired.rules, ElementsAre(3, 6));
  EXPECT_EQ(fired.count(RuleForm::kWrongNumber), 2);
  EXPECT_EQ(fired.num_malformed(), 2);
}

TEST(Rules, NumbersAloneCountInTheListAfterTheWord) {
  EXPECT_THAT(rules("I use rules 1, 2 and 3."), ElementsAre(1, 2, 3));
  EXPECT_THAT(rules("Rule #4 and rule no. 5 apply"), ElementsAre(4, 5));
  EXPECT_THAT(rules("Principles 2-4, 6 to 7"), ElementsAre(2, 3, 4, 6, 7));
  EXPECT_THAT(rules("Rules 1 – 3 here"), ElementsAre(1, 2, 3));
  EXPECT_THAT(rules("Rules 3 (helpful) and 5 apples for 2 (two) people."),
              ElementsAre(3));
  EXPECT_THAT(rules("Overruled 1 of 3. No rule. 4."), IsEmpty());
  EXPECT_THAT(rules("The rules of a game for 2 in 3 parts"), IsEmpty());
  EXPECT_EQ(count("rules 1, 2, 6-7", RuleForm::kNumberOnly), 4);
}

TEST(Rules, NamesAloneCountInQuotesOrTheList) {
  EXPECT_THAT(rules("The \"helpful\" rule and the (candor) one apply."),
              ElementsAre(3, 7));
  EXPECT_THAT(rules("Rules helpful, step-by-step and candor apply."),
              ElementsAre(3, 6, 7));
  EXPECT_THAT(rules("The user wants a \"helpful\" and ethical answer."),
              IsEmpty());
  EXPECT_EQ(count("rule (candor)", RuleForm::kNameOnly), 1);
}

TEST(Rules, NearNamesCount) {
  const FiredRules fired = find_rules(
      "Rules 3 (helpfull), 4 (question assesment), 7 (candour).", kNames);
  EXPECT_THAT(fired.rules, ElementsAre(3, 4, 7));
  EXPECT_EQ(fired.count(RuleForm::kMisspelt), 3);
  EXPECT_THAT(find_rules("Rule 1 (cat)", {"bat", "hat"}).rules, IsEmpty());
  EXPECT_THAT(find_rules("Rule 1 (stopic)", {"atopic", "etopic"}).rules,
              IsEmpty());  // as near to one as to the other
}

TEST(Rules, UnknownOnesAreCountedAndDoNotFire) {
  const FiredRules fired = find_rules(
      "Rules 2 (kind), 6 (step-by-step), 99, 17 (multilingual)", kNames);
  EXPECT_THAT(fired.rules, ElementsAre(6));
  EXPECT_EQ(fired.count(RuleForm::kUnknown), 3);
  EXPECT_EQ(count("rules 99999999999999999999", RuleForm::kUnknown), 1);
  EXPECT_EQ(count("rules 0", RuleForm::kUnknown), 1);
}

TEST(Rules, MayStandWithTheirReasons) {
  const FiredRules fired = find_rules(
      "The user asks 2 (two) things. These rules apply: 2 (kind), since it is "
      "kind; 3 (helpful), so I say 4 (four); 7 (candour), as I am; 9 (odd).",
      kNames);
  EXPECT_THAT(fired.rules, ElementsAre(3, 7));
  EXPECT_EQ(fired.count(RuleForm::kWhole), 1);
  EXPECT_EQ(fired.count(RuleForm::kMisspelt), 1);
  EXPECT_EQ(fired.count(RuleForm::kUnknown), 2);
}

TEST(Rules, BrokenOffTextIsRead) {
  for (const char* text :
       {"", "rules", "rules ", "rules 1 (", "rules 1 (ethic\nal)", "(",
        "rule \"", "rules 3 to", "rules 3 -", "rule \xe2\x80", "3 (helpful"}) {
    EXPECT_LE(rules(text).size(), 1u) << text;
  }
}

TEST(Rules, OfThePublishedPromptAreRead) {
  const std::string path =
      "../shared/reference/dromedary/watson_self_align_prompt.txt";
  std::string prompt;
  try {
    prompt = read_file(path);
  } catch (const std::exception&) {
    GTEST_SKIP() << path << " is not there";
  }
  const std::vector<std::string> names = {"ethical",
                                          "informative",
                                          "helpful",
                                          "question assessment",
                                          "reasoning",
                                          "multi-aspect",
                                          "candor",
                                          "knowledge recitation",
                                          "static",
                                          "clarification",
                                          "numerical sensitivity",
                                          "dated knowledge",
                                          "step-by-step",
                                          "balanced & informative perspectives",
                                          "creative",
                                          "operational"};
  std::vector<std::vector<int>> found;
  for (size_t at = 0;
       (at = prompt.find("I should follow", at)) != std::string::npos; ++at) {
    const FiredRules fired =
        find_rules(prompt.substr(at, prompt.find('\n', at) - at), names);
    EXPECT_EQ(fired.num_malformed(), 0);
    found.push_back(fired.rules);
  }
  EXPECT_THAT(found,
              ElementsAre(ElementsAre(3, 7, 12), ElementsAre(2, 3, 7, 10),
                          ElementsAre(5, 13, 15), ElementsAre(11, 16),
                          ElementsAre(3, 7, 9), ElementsAre(2, 6, 8)));
}

}  // namespace
}  // namespace selfalign::parse
