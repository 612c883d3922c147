// SPDX-License-Identifier: Apache-2.0
#include "text/rouge_index.h"

#include <gtest/gtest.h>

#include <cmath>
#include <unordered_map>

#include "base/random.h"
#include "text/lcs.h"
#include "text/rouge.h"

namespace selfalign::text {
namespace {

// Compares a text with all kept ones.
class PlainScan {
 public:
  std::optional<RougeIndex::Match> find_above(const std::string& text,
                                              double threshold) {
    const std::vector<uint32_t> words = ids_of(text);
    const LcsPattern pattern(words);
    std::optional<RougeIndex::Match> best;
    for (size_t i = 0; i < kept_.size(); ++i) {
      const double score = f_measure(pattern.length_with(kept_[i]),
                                     words.size(), kept_[i].size());
      if (score <= threshold) continue;
      threshold = score;
      best = RougeIndex::Match{i, score};
    }
    return best;
  }
  void add(const std::string& text) { kept_.push_back(ids_of(text)); }

 private:
  std::vector<uint32_t> ids_of(const std::string& text) {
    std::vector<uint32_t> ids;
    for (std::string& word : rouge_words(text)) {
      const auto next = static_cast<uint32_t>(words_.size());
      ids.push_back(words_.emplace(std::move(word), next).first->second);
    }
    return ids;
  }
  std::unordered_map<std::string, uint32_t> words_;
  std::vector<std::vector<uint32_t>> kept_;
};

// Adds `texts` one after another; both must always find the same. Returns how
// often something was found.
size_t compare(const std::vector<std::string>& texts, double threshold) {
  RougeIndex index(threshold);
  PlainScan plain;
  size_t num_found = 0;
  for (const std::string& text : texts) {
    const auto expected = plain.find_above(text, threshold);
    const auto found = index.find_above(text);
    EXPECT_EQ(found.has_value(), expected.has_value()) << text;
    if (found.has_value() != expected.has_value()) break;
    if (found) {
      ++num_found;
      EXPECT_EQ(found->index, expected->index) << text;
      EXPECT_EQ(found->score, expected->score) << text;
    }
    index.add(text);
    plain.add(text);
  }
  EXPECT_EQ(index.size(), texts.size());
  return num_found;
}

// Few words, some far more frequent than others, many of them repeated.
std::string short_text(uint64_t key) {
  std::string text;
  const uint64_t length = draw_index(key, 1, 16);
  for (uint64_t t = 0; t < length; ++t) {
    const double u = draw_uniform(key, 2 + t);
    text += static_cast<char>('a' + static_cast<int>(u * u * 10)) +
            std::string(" ");
  }
  return text;
}

TEST(RougeIndex, FindsWhatAPlainScanFinds) {
  std::vector<std::string> texts;
  for (uint64_t key = 0; key < 300; ++key) texts.push_back(short_text(key));
  size_t num_found = 0;
  for (const double threshold : {-1.0, 0.0, 0.3, 0.5, 0.7, 0.99, 1.0}) {
    num_found += compare(texts, threshold);
  }
  EXPECT_GT(num_found, 700u);
}

// Zipf's law over a growing vocabulary; a third are copies with some words
// replaced, left out or put in, up to 90 words long.
std::vector<std::string> realistic_texts(uint64_t seed, size_t number) {
  std::vector<std::vector<std::string>> all;
  std::vector<std::string> texts;
  for (size_t i = 0; i < number; ++i) {
    const uint64_t key = seed * 1'000'003 + i;
    uint64_t t = 0;
    const auto word = [&] {
      const double u = draw_uniform(key, t++);
      return "w" + std::to_string(static_cast<int>(std::pow(3000.0, u)));
    };
    std::vector<std::string> words;
    if (i > 0 && draw_uniform(key, t++) < 0.33) {
      words = all[draw_index(key, t++, i)];
      const uint64_t edits = draw_index(key, t++, 3 + words.size() / 4);
      for (uint64_t edit = 0; edit < edits && !words.empty(); ++edit) {
        const auto at = draw_index(key, t++, words.size());
        const uint64_t kind = draw_index(key, t++, 3);
        const auto place = words.begin() + static_cast<std::ptrdiff_t>(at);
        if (kind == 0) *place = word();
        if (kind == 1) words.erase(place);
        if (kind == 2) words.insert(place, word());
      }
    } else {
      const double u = draw_uniform(key, t++);
      const auto length = static_cast<size_t>(90.0 * u * u * u);
      while (words.size() < length) words.push_back(word());
    }
    std::string text;
    for (const std::string& one : words) text += one + " ";
    texts.push_back(text);
    all.push_back(std::move(words));
  }
  return texts;
}

// Over several rounds of putting the words in order anew.
TEST(RougeIndex, LosesNoneAsItGrows) {
  size_t num_found = 0;
  for (const double threshold : {0.4, 0.7, 0.9}) {
    num_found += compare(realistic_texts(1, 2500), threshold);
  }
  EXPECT_GT(num_found, 1500u);
}

TEST(RougeIndex, ThresholdItselfIsNotAbove) {
  RougeIndex index(0.7);
  index.add("a b c d e f g x y z");  // 7 of 10 and 10 words in common: 0.7
  EXPECT_FALSE(index.find_above("a b c d e f g p q r").has_value());
  EXPECT_TRUE(index.find_above("a b c d e f g x q r").has_value());
}

TEST(RougeIndex, EmptyTextsMatchNothing) {
  RougeIndex index(0.0);
  EXPECT_FALSE(index.find_above("a").has_value());
  index.add("...");
  index.add("a b");
  EXPECT_FALSE(index.find_above("").has_value());
  EXPECT_EQ(index.find_above("b c")->index, 1u);
}

}  // namespace
}  // namespace selfalign::text
