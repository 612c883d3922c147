#include "text/minhash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "text/rouge.h"
#include "text/rouge_index.h"

namespace selfalign::text {
namespace {

using ::testing::ElementsAre;

std::string word_of(double u) {
  return "w" + std::to_string(static_cast<int>(std::pow(5000.0, u)));
}

// 12 to 40 words; every third a copy of an earlier one, some words replaced.
std::vector<std::string> make_texts(size_t number) {
  std::vector<std::vector<std::string>> all;
  std::vector<std::string> texts;
  for (uint64_t key = 0; key < number; ++key) {
    std::vector<std::string> words;
    if (key > 0 && key % 3 == 0) {
      words = all[draw_index(key, 0, key)];
      for (uint64_t t = 0; t < words.size() / 5; ++t) {
        words[draw_index(key, 2 * t + 1, words.size())] =
            word_of(draw_uniform(key, 2 * t + 2));
      }
    } else {
      const uint64_t length = 12 + draw_index(key, 0, 29);
      for (uint64_t t = 0; t < length; ++t) {
        words.push_back(word_of(draw_uniform(key, t + 1)));
      }
    }
    std::string text;
    for (const std::string& word : words) text += word + " ";
    texts.push_back(text);
    all.push_back(std::move(words));
  }
  return texts;
}

TEST(MinHash, BandsFollowFromThresholdAndRecall) {
  for (const double min_rouge_l : {0.3, 0.5, 0.7, 0.9}) {
    for (const double recall : {0.5, 0.95, 0.99}) {
      const MinHashIndex index({min_rouge_l, recall});
      const double similarity = min_rouge_l / (2.0 - min_rouge_l);
      const double found =
          1.0 - std::pow(1.0 - std::pow(similarity, index.num_rows()),
                         index.num_bands());
      EXPECT_GE(found, recall - 1e-9) << min_rouge_l << " " << recall;
    }
  }
  EXPECT_GT(MinHashIndex({0.9, 0.95}).num_rows(),
            MinHashIndex({0.5, 0.95}).num_rows());
}

TEST(MinHash, FindsAsManyMatchesAsItSays) {
  const std::vector<std::string> texts = make_texts(3000);
  for (const double recall : {0.6, 0.95}) {
    RougeIndex exact(0.7);
    MinHashIndex index({0.7, recall});
    int num_matches = 0;
    int num_found = 0;
    size_t num_candidates = 0;
    for (const std::string& text : texts) {
      const auto candidates = index.candidates(text);
      num_candidates += candidates.size();
      const auto match = exact.find_above(text);
      const auto found = exact.find_among(text, candidates);
      num_matches += match.has_value();
      num_found += found.has_value();
      if (found) {
        ASSERT_TRUE(match);
        ASSERT_GE(match->score, found->score);
        ASSERT_GT(found->score, 0.7);
      }
      exact.add(text);
      index.add(text);
    }
    EXPECT_GT(num_matches, 500);
    EXPECT_GE(num_found, recall * num_matches);
    // Of 1,500 texts kept on average.
    EXPECT_LT(num_candidates / texts.size(), 75u);
  }
}

TEST(MinHash, GivesWhatIsTheSameAndNothingForNothing) {
  MinHashIndex index({});
  index.add("Name three birds of the sea.");
  index.add("");
  index.add("Why is bread soft?");
  EXPECT_EQ(index.size(), 3u);
  EXPECT_THAT(index.candidates("name THREE birds of the sea"), ElementsAre(0));
  EXPECT_THAT(index.candidates("bread soft why is"), ElementsAre(2));
  EXPECT_THAT(index.candidates("..."), ElementsAre());
}

// Kept rows depend on it: the same on every machine and in every version.
TEST(MinHash, IsFixed) {
  MinHashIndex index({0.7, 0.5});
  const std::vector<std::string> texts = make_texts(400);
  uint64_t sum = 0;
  for (const std::string& text : texts) {
    for (const uint32_t number : index.candidates(text)) sum += number + 1;
    index.add(text);
  }
  EXPECT_EQ(sum, 18908u);
}

}  // namespace
}  // namespace selfalign::text
