#include "text/rouge.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/random.h"

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
    ASSERT_EQ(lcs_length(a, b), plain_lcs(a, b)) << key;
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
  EXPECT_THAT(rouge_words("Ünïcode", true), ElementsAre("n", "code"));
  EXPECT_THAT(rouge_words("e\u0301a \u0301"), ElementsAre("e\u0301a"));
  EXPECT_THAT(rouge_words("ab中文c"), ElementsAre("ab", "中", "文", "c"));
  EXPECT_THAT(rouge_words("a\xFF"
                          "b"),
              ElementsAre("a", "b"));
  EXPECT_THAT(rouge_words(" ... "), ElementsAre());
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

std::string random_text(uint64_t key) {
  std::string text;
  const uint64_t length = draw_index(key, 1, 16);
  for (uint64_t t = 0; t < length; ++t) {
    // Some words far more frequent than others.
    const double u = draw_uniform(key, 2 + t);
    text += static_cast<char>('a' + static_cast<int>(u * u * 10)) +
            std::string(" ");
  }
  return text;
}

TEST(Rouge, IndexFindsWhatAPlainScanFinds) {
  size_t num_found = 0;
  for (const double threshold : {-1.0, 0.0, 0.3, 0.5, 0.7, 0.99, 1.0}) {
    RougeIndex index;
    std::vector<std::string> kept;
    for (uint64_t key = 0; key < 200; ++key) {
      const std::string text = random_text(key);
      std::optional<RougeIndex::Match> expected;
      double best = threshold;
      for (size_t i = 0; i < kept.size(); ++i) {
        const double score = rouge_l(text, kept[i]);
        if (score > best) {
          best = score;
          expected = RougeIndex::Match{i, score};
        }
      }
      const auto found = index.find_above(text, threshold);
      ASSERT_EQ(found.has_value(), expected.has_value()) << text;
      if (found) {
        ++num_found;
        ASSERT_EQ(found->index, expected->index) << text;
        ASSERT_EQ(found->score, expected->score) << text;
      }
      index.add(text);
      kept.push_back(text);
    }
    EXPECT_EQ(index.size(), 200u);
  }
  EXPECT_GT(num_found, 500u);
}

TEST(Rouge, ThresholdItselfIsNotAbove) {
  RougeIndex index;
  index.add("a b c d e f g x y z");  // 7 of 10 and 10 words in common: 0.7
  EXPECT_FALSE(index.find_above("a b c d e f g p q r", 0.7).has_value());
  EXPECT_TRUE(index.find_above("a b c d e f g x q r", 0.7).has_value());
}

}  // namespace
}  // namespace selfalign::text
