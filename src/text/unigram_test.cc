// SPDX-License-Identifier: Apache-2.0
#include "text/unigram.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"
#include "base/random.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

UnigramVocabulary small_world(bool bytes = false) {
  UnigramVocabulary v;
  v.where = "small world";
  const auto add = [&](const std::string& text, double score) {
    v.tokens.push_back(text);
    v.scores.push_back(score);
  };
  add("<unk>", 0);
  for (const auto& [text, score] :
       std::initializer_list<std::pair<const char*, double>>{{"a", -2},
                                                             {"b", -2},
                                                             {"ab", -3},
                                                             {"ba", -3.5},
                                                             {"aba", -9},
                                                             {"\u00e9", -4}}) {
    add(text, score);
  }
  for (int b = 0; b < 256 && bytes; ++b) {
    char text[8];
    std::snprintf(text, sizeof(text), "<0x%02X>", b);
    add(text, -5);
  }
  v.unknown = 0;
  v.byte_fallback = bytes;
  return v;
}

TEST(Unigram, TakesTheBestSum) {
  const auto t = make_unigram(small_world());
  EXPECT_THAT(t->encode("ab"), ElementsAre(3));
  EXPECT_THAT(t->encode("aba"), ElementsAre(3, 1));  // -5, not -5.5 or -9
  EXPECT_THAT(t->encode("\u00e9b"), ElementsAre(6, 2));
  EXPECT_EQ(t->decode(t->encode("abab\u00e9")), "abab\u00e9");
  EXPECT_THAT(t->encode(""), ElementsAre());
}

TEST(Unigram, UnknownCharactersAreOneOrBytes) {
  EXPECT_THAT(make_unigram(small_world())
                  ->encode("axyz\u4e2d\xff"
                           "b"),
              ElementsAre(1, 0, 0, 2));  // bytes are a word of their own
  const auto t = make_unigram(small_world(true));
  EXPECT_THAT(t->encode("a\n\u00e8"),
              ElementsAre(1, 7 + 10, 7 + 0xC3, 7 + 0xA8));
  UnigramVocabulary none = small_world();
  none.unknown = -1;
  EXPECT_THAT(make_unigram(none)->encode("axb"), ElementsAre(1, 2));
  // A run that is a piece, though two unknown ones have a better sum.
  UnigramVocabulary run = small_world();
  run.tokens.push_back("xy");
  run.scores.push_back(-1000);
  EXPECT_THAT(make_unigram(run)->encode("axyb"), ElementsAre(1, 7, 2));
}

TEST(Unigram, UnsoundVocabulariesAreErrors) {
  const auto expect_error = [](auto&& change) {
    UnigramVocabulary v = small_world();
    change(v);
    EXPECT_THROW(make_unigram(std::move(v)), Error);
  };
  expect_error([](auto& v) { v.scores[1] = NAN; });
  expect_error([](auto& v) { v.scores[1] = INFINITY; });
  expect_error([](auto& v) { v.tokens[1] = std::string(513, 'a'); });
  expect_error([](auto& v) {
    v.tokens.clear();
    v.scores.clear();
  });
}

TEST(Unigram, LongTextsOfLongPiecesTakeLinearTime) {
  UnigramVocabulary v = small_world();
  for (size_t length = 2; length <= 512; ++length) {
    v.tokens.push_back(std::string(length, 'a'));
    v.scores.push_back(-1.0 * static_cast<double>(length));
  }
  const auto t = make_unigram(std::move(v));
  EXPECT_GE(t->encode(std::string(1'000'000, 'a')).size(), 1'000'000u / 512);
}

TEST(PieceTrieTest, FindsWhatAMapFinds) {
  for (uint64_t key = 0; key < 300; ++key) {
    std::map<std::string, int> pieces;
    const uint64_t letters = 1 + draw_index(key, 0, 256);
    for (uint64_t i = 0; i < draw_index(key, 1, 200); ++i) {
      std::string text;
      for (uint64_t k = 0; k <= draw_index(key, 10 * i + 2, 5); ++k) {
        text += static_cast<char>(draw_index(key, 10 * i + k + 3, letters));
      }
      pieces[text] = static_cast<int>(i);
    }
    std::vector<PieceTrie::Entry> entries(pieces.begin(), pieces.end());
    const PieceTrie trie(entries);
    for (const auto& [text, value] : pieces) {
      ASSERT_EQ(trie.find(text), value);
      std::vector<int> expected, found;
      for (size_t length = 1; length <= text.size(); ++length) {
        const auto at = pieces.find(text.substr(0, length));
        if (at != pieces.end()) expected.push_back(at->second);
      }
      trie.for_each_prefix(text, [&](size_t, int v) { found.push_back(v); });
      ASSERT_EQ(found, expected);
      ASSERT_EQ(trie.find(text + "?x?"), -1);
    }
  }
  EXPECT_EQ(PieceTrie({}).find("a"), -1);
}

}  // namespace
}  // namespace selfalign::text
