// SPDX-License-Identifier: Apache-2.0
#include "text/added_tokens.h"

#include <gmock/gmock.h>

#include <ctime>

#include "base/error.h"
#include "base/random.h"

namespace selfalign::text {
namespace {

using testing::HasSubstr;

AddedTokenFinder finder_of(const std::vector<std::string>& texts) {
  std::vector<AddedToken> tokens;
  for (const std::string& text : texts) {
    AddedToken token;
    token.id = static_cast<int>(tokens.size());
    token.text = text;
    tokens.push_back(std::move(token));
  }
  return AddedTokenFinder(std::move(tokens));
}

// "text" and "[id]" in turn.
std::string shown(const AddedTokenFinder& finder, std::string_view text) {
  std::string out;
  for (const auto& piece : finder.cut(text, false)) {
    out += piece.id < 0 ? std::string(piece.text) : str("[", piece.id, "]");
  }
  return out;
}

// Place by place, the longest token that begins there.
std::string expected(const std::vector<std::string>& texts,
                     std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t best = texts.size();
    for (size_t i = 0; i < texts.size(); ++i) {
      const bool longer =
          best == texts.size() || texts[i].size() > texts[best].size();
      if (text.starts_with(texts[i]) && longer) best = i;
    }
    if (best == texts.size()) {
      out += text[0];
      text.remove_prefix(1);
    } else {
      out += str("[", best, "]");
      text.remove_prefix(texts[best].size());
    }
  }
  return out;
}

TEST(AddedTokenFinderTest, TakesTheLongestFromTheLeft) {
  const AddedTokenFinder finder =
      finder_of({"ab", "abc", "bcd", "c", "", "ab"});
  EXPECT_EQ(shown(finder, "abcd ab bcd xc"), "[1]d [0] [2] x[3]");
  EXPECT_EQ(shown(finder, ""), "");
  EXPECT_EQ(shown(finder_of({}), "ab"), "ab");
  EXPECT_TRUE(finder_of({""}).empty());
}

TEST(AddedTokenFinderTest, FindsWhatLookingEverywhereFinds) {
  for (uint64_t round = 0; round < 2000; ++round) {
    uint64_t draw = 0;
    const auto some_text = [&](uint64_t most) {
      std::string text;
      for (uint64_t n = draw_index(round, draw++, most); n-- > 0;) {
        // A few letters, so that tokens are in and across each other.
        text += "ab\xff"[draw_index(round, draw++, 3)];
      }
      return text;
    };
    std::vector<std::string> texts;
    for (uint64_t n = draw_index(round, draw++, 9); n-- > 0;) {
      const std::string text = some_text(5) + "a";
      if (!std::count(texts.begin(), texts.end(), text)) texts.push_back(text);
    }
    const std::string text = some_text(30);
    ASSERT_EQ(shown(finder_of(texts), text), expected(texts, text)) << round;
  }
}

// Of the processor, which others do not take away.
double seconds_of(const auto& work) {
  const std::clock_t began = std::clock();
  work();
  return double(std::clock() - began) / CLOCKS_PER_SEC;
}

// As a vocabulary of names, and as hostile as can be: many lengths that all
// begin alike, and end in what the text has not. Either took minutes.
TEST(AddedTokenFinderTest, TimeDoesNotGrowWithTokensTimesText) {
  std::vector<std::string> names;
  for (int i = 0; i < 200'000; ++i) names.push_back(str("<t", i, ">"));
  std::vector<std::string> alike;
  for (size_t i = 1; i <= 2000; ++i) alike.push_back(std::string(i, 'a') + "b");
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += str("<t", 2 * i, "> <t");
  EXPECT_LT(seconds_of([&] {
              const AddedTokenFinder finder = finder_of(names);
              EXPECT_EQ(finder.cut(text, false).size(), 200'000u);
            }),
            20);
  EXPECT_LT(seconds_of([&] {
              const AddedTokenFinder finder = finder_of(alike);
              EXPECT_EQ(finder.cut(std::string(2'000'000, 'a'), false).size(),
                        1u);
            }),
            20);
}

TEST(AddedTokenFinderTest, RefusesMoreTextThanAnyModelHas) {
  try {
    finder_of({std::string((16 << 20) + 1, 'a')});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("added tokens: expected at most"));
  }
}

}  // namespace
}  // namespace selfalign::text
