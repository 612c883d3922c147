// SPDX-License-Identifier: Apache-2.0
#include "eval/relative_score.h"

#include <gtest/gtest.h>

namespace selfalign::eval {
namespace {

TEST(RelativeScoreTest, IsTheSumOfMarksByTheOthersSum) {
  const AnswerMarks a = {{{"1", 1}, {"math", 4}},
                         {{"2", 1}, {"writing", 8}},
                         {{"3", 1}, {"writing", 10}}};
  const AnswerMarks b = {{{"1", 1}, {"math", 8}},
                         {{"2", 1}, {"writing", 8}},
                         {{"4", 1}, {"writing", 1}}};
  const auto score = relative_score(a, b, 0);
  ASSERT_TRUE(score);
  EXPECT_DOUBLE_EQ(score->sums.ratio, 12.0 / 16.0);
  EXPECT_EQ(score->sums.a, 12.0);
  EXPECT_EQ(score->sums.b, 16.0);
  EXPECT_EQ(score->sums.num_items, 2);
  EXPECT_EQ(score->num_unmarked, 2);
  EXPECT_EQ(score->by_category.at("math").ratio, 0.5);
  EXPECT_EQ(score->by_category.at("writing").ratio, 1.0);
  // Of two questions, 0.5 and 1: what a sample can be.
  EXPECT_EQ(score->low, 0.5);
  EXPECT_EQ(score->high, 1.0);
}

TEST(RelativeScoreTest, TurnsOfAQuestionStayTogether) {
  const AnswerMarks a = {{{"1", 1}, {"", 2}}, {{"1", 2}, {"", 6}}};
  const AnswerMarks b = {{{"1", 1}, {"", 8}}, {{"1", 2}, {"", 8}}};
  const auto score = relative_score(a, b, 0);
  ASSERT_TRUE(score);
  EXPECT_EQ(score->sums.ratio, 0.5);
  EXPECT_EQ(score->low, score->high);
  EXPECT_TRUE(score->by_category.empty());
}

TEST(RelativeScoreTest, WithoutMarksOfBothThereIsNone) {
  EXPECT_FALSE(relative_score({{{"1", 1}, {"", 2}}}, {}, 0));
}

}  // namespace
}  // namespace selfalign::eval
