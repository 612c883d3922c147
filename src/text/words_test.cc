// SPDX-License-Identifier: Apache-2.0
#include "text/words.h"

#include <gmock/gmock.h>

#include "base/random.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;

TEST(Words, CountsRunsOfNonSpaces) {
  EXPECT_EQ(count_words(""), 0u);
  EXPECT_EQ(count_words(" \t\n"), 0u);
  EXPECT_EQ(count_words("one"), 1u);
  EXPECT_EQ(count_words("  one two,\n\u3000drei\u00a0vier "), 4u);
  EXPECT_EQ(count_words("\xFF x"), 2u);
}

TEST(Words, KnowsUtf8) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("aé€😀"));
  EXPECT_TRUE(is_valid_utf8("\xF4\x8F\xBF\xBF"));   // U+10FFFF
  EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));  // U+110000
  EXPECT_FALSE(is_valid_utf8("\xC0\x80"));          // overlong NUL
  EXPECT_FALSE(is_valid_utf8("\xE0\x9F\xBF"));      // overlong
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(is_valid_utf8("\xE2\x82"));          // cut
  EXPECT_FALSE(is_valid_utf8("\x80"));
}

TEST(Words, ReplacesWrongSequencesOnceEach) {
  EXPECT_EQ(fix_utf8("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(fix_utf8("\xE2\x82z"), "\uFFFDz");  // its right beginning is one
  EXPECT_EQ(fix_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(fix_utf8("é😀"), "é😀");
  for (uint64_t row = 0; row < 500; ++row) {
    std::string bytes;
    for (uint64_t t = 0; t < 12; ++t) {
      bytes += static_cast<char>(draw_index(row, t, 256));
    }
    EXPECT_TRUE(is_valid_utf8(fix_utf8(bytes)));
  }
}

TEST(Words, HoldsBackOnlyAnUnfinishedCharacter) {
  EXPECT_EQ(complete_utf8_prefix_length(""), 0u);
  EXPECT_EQ(complete_utf8_prefix_length("ab"), 2u);
  const std::string text = "a😀";
  for (size_t cut = 1; cut < 5; ++cut) {
    EXPECT_EQ(complete_utf8_prefix_length(text.substr(0, cut)), 1u) << cut;
  }
  EXPECT_EQ(complete_utf8_prefix_length(text), 5u);
  EXPECT_EQ(complete_utf8_prefix_length("a\xE2"), 1u);
  EXPECT_EQ(complete_utf8_prefix_length("a\xC0"), 2u);      // never a character
  EXPECT_EQ(complete_utf8_prefix_length("a\xED\xA0"), 3u);  // neither
  EXPECT_EQ(complete_utf8_prefix_length("a\x80\x80\x80\x80"), 5u);
}

TEST(Words, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("helpful", "helpfull"), 1u);
}

TEST(Words, Trims) {
  EXPECT_EQ(trim(" \n a b\u00a0\u2003"), "a b");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim(" \t "), "");
  EXPECT_EQ(trim("\x80 "), "\x80");
}

TEST(Words, LowersAllScripts) {
  EXPECT_EQ(to_lower("ABC Éß ΑΒΓ ДЖ"), "abc éß αβγ дж");
  EXPECT_EQ(to_lower("\u0130"), "i\u0307");
  EXPECT_EQ(to_lower("A\xFF"
                     "B"),
            "a\xFF"
            "b");
}

TEST(Words, SplitsLines) {
  EXPECT_THAT(split_lines("a\r\nb\n\nc\r"), ElementsAre("a", "b", "", "c\r"));
  EXPECT_THAT(split_lines("a\n"), ElementsAre("a"));
  EXPECT_THAT(split_lines(""), ElementsAre());
}

TEST(Nearest, IsTheSmallestEditDistance) {
  EXPECT_EQ(nearest("temprature", {"top_p", "temperature"}), "temperature");
  EXPECT_EQ(nearest("x", {}), "");
  EXPECT_EQ(nearest("foo", {"name", "seed"}), "");
  EXPECT_EQ(nearest("foo", {"fo"}), "fo");
  EXPECT_EQ(nearest("modle", {"mode_of", "model"}), "model");
  // What is far longer is not compared letter by letter.
  EXPECT_EQ(nearest(std::string(1 << 24, 'n'), {"name", "seed"}), "");
}

}  // namespace
}  // namespace selfalign::text
