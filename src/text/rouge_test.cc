#include "text/rouge.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/random.h"
#include "text/lcs.h"

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

}  // namespace
}  // namespace selfalign::text
