// SPDX-License-Identifier: Apache-2.0
#include "text/rouge.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/random.h"
#include "text/lcs.h"
#include "text/rouge_index.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;

size_t plain_lcs(const std::vector<uint32_t>& a,
                 const std::vector<uint32_t>& b) {
  std::vector<size_t> row(b.size() + 1, 0);
  for (const uint32_t x : a) {
    size_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = x == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::vector<uint32_t> random_words(uint64_t key, size_t count,
                                   uint64_t num_kinds) {
  std::vector<uint32_t> words;
  for (uint64_t t = 0; t < count; ++t) {
    words.push_back(static_cast<uint32_t>(draw_index(key, t, num_kinds)));
  }
  return words;
}

TEST(Rouge, LcsEqualsDynamicProgramming) {
  for (uint64_t key = 0; key < 2000; ++key) {
    const uint64_t kinds = 1 + draw_index(key, 1000, 12);
    const auto a = random_words(2 * key, draw_index(key, 1001, 200), kinds);
    const auto b = random_words(2 * key + 1, draw_index(key, 1002, 200), kinds);
    const size_t length = plain_lcs(a, b);
    ASSERT_EQ(lcs_length(a, b), length) << key;
    const size_t needed = draw_index(key, 1003, 80);
    const size_t some = LcsPattern(a).length_with(b, needed);
    ASSERT_TRUE(some == length || (some < needed && length < needed)) << key;
  }
  for (const size_t size : {63u, 64u, 65u, 128u}) {  // whole blocks
    const auto a = random_words(7, size, 4);
    ASSERT_EQ(lcs_length(a, a), size);
  }
}

TEST(Rouge, Words) {
  EXPECT_THAT(rouge_words("Don't STOP, it's 3.5!"),
              ElementsAre("don", "t", "stop", "it", "s", "3", "5"));
  EXPECT_THAT(rouge_words("Ünïcode naïve"), ElementsAre("ünïcode", "naïve"));
  EXPECT_THAT(rouge_words("e\u0301a \u0301"), ElementsAre("e\u0301a"));
  EXPECT_THAT(rouge_words("ab中文c"), ElementsAre("ab", "中", "文", "c"));
  EXPECT_THAT(rouge_words("a\xFF"
                          "b"),
              ElementsAre("a", "b"));
  EXPECT_THAT(rouge_words(" ... "), ElementsAre());
}

// Words and scores that Python's rouge_score 0.1.2 gives, its stemmer off.
TEST(Rouge, PublishedWordsAndScores) {
  const auto words = [](std::string_view text) {
    return rouge_words(text, RougeKind::kPublished);
  };
  EXPECT_THAT(words("Don't STOP, it's 3.5!"),
              ElementsAre("don", "t", "stop", "it", "s", "3", "5"));
  EXPECT_THAT(words("Ünïcode naïve"), ElementsAre("n", "code", "na", "ve"));
  EXPECT_THAT(words("İstanbul 20\u212Am"), ElementsAre("i", "stanbul", "20km"));
  EXPECT_THAT(words("ab中文c x\u00b2 ½"), ElementsAre("ab", "c", "x"));
  EXPECT_THAT(words("a\u0301b_c"), ElementsAre("a", "b", "c"));
  const auto score = [](size_t a, size_t b) {
    return f_measure(7, a, b, RougeKind::kPublished);
  };
  EXPECT_EQ(score(10, 10), 0.7);
  for (const size_t a : {7, 8, 9, 11, 12, 13}) {
    EXPECT_EQ(score(a, 20 - a), 0.7000000000000001) << a;
    EXPECT_EQ(f_measure(7, a, 20 - a), 0.7) << a;
  }
}

// The index finds a text whose score is above 0.7 by rounding alone.
TEST(Rouge, TheIndexScoresAsPublished) {
  const std::string kept = "a b c d e f g u v w x y z";  // 13 words
  const std::string same = "a b c d e f g";              // 7 of them
  const std::string ten = "a b c d e f g h i j";
  RougeIndex published(0.7, RougeKind::kPublished);
  RougeIndex own(0.7);
  for (RougeIndex* index : {&published, &own}) {
    index->add(kept);
    index->add("Ünï q");
  }
  ASSERT_TRUE(published.find_above(same));
  EXPECT_EQ(published.find_above(same)->score, 0.7000000000000001);
  EXPECT_FALSE(own.find_above(same));
  EXPECT_FALSE(published.find_above(ten));
  // Umlauts are no letters there: n alone is left of Ünï.
  EXPECT_TRUE(published.find_above("ÄnÖ q"));
  EXPECT_FALSE(own.find_above("ÄnÖ q"));
}

TEST(Rouge, ScoreByHand) {
  // Lin 2004, section 3.1: LCS 3 of 4 and 4 words.
  EXPECT_DOUBLE_EQ(
      rouge_l("police killed the gunman", "police kill the gunman"), 0.75);
  EXPECT_DOUBLE_EQ(
      rouge_l("police killed the gunman", "the gunman kill police"), 0.5);
  EXPECT_DOUBLE_EQ(rouge_l("", "a"), 0.0);
  EXPECT_DOUBLE_EQ(rouge_l("same words", "Same words."), 1.0);
}

}  // namespace
}  // namespace selfalign::text
