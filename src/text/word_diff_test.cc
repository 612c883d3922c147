// SPDX-License-Identifier: Apache-2.0
#include "text/word_diff.h"

#include <gtest/gtest.h>

namespace selfalign::text {
namespace {

std::string marked(const std::vector<DiffWord>& words) {
  std::string text;
  for (const DiffWord& word : words) {
    text += (word.common ? "" : "*") + word.word + " ";
  }
  return text;
}

TEST(WordDiff, MarksWhatOnlyOneHas) {
  const WordDiff diff = diff_words("the cat\nsat down", "the big cat sat");
  EXPECT_EQ(marked(diff.a), "the cat sat *down ");
  EXPECT_EQ(marked(diff.b), "the *big cat sat ");
  EXPECT_DOUBLE_EQ(diff.similarity, 0.75);
}

TEST(WordDiff, ExtremesAreTheSameOrNothingInCommon) {
  EXPECT_EQ(diff_words("", " ").similarity, 1.0);
  EXPECT_EQ(diff_words("a b", "a b").similarity, 1.0);
  EXPECT_EQ(diff_words("a b", "c").similarity, 0.0);
  EXPECT_EQ(marked(diff_words("", "c").b), "*c ");
}

TEST(WordDiff, LongTextsAreComparedAtTheirBeginning) {
  const WordDiff diff = diff_words("a b c d", "a b c e", 2);
  EXPECT_EQ(marked(diff.a), "a b *c *d ");
  EXPECT_EQ(diff_words("a b c", "a b c", 1).similarity, 1.0);
}

}  // namespace
}  // namespace selfalign::text
