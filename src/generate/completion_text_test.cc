// SPDX-License-Identifier: Apache-2.0
#include "generate/completion_text.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "text/words.h"

namespace selfalign::generate {
namespace {

TEST(CompletionTextTest, NothingIsShownThatAStopStringMayTakeBack) {
  CompletionText text({"", "END", "\n##"});
  EXPECT_FALSE(text.append("one E"));
  EXPECT_EQ(text.take_certain(), "one ");
  EXPECT_FALSE(text.append("N"));
  EXPECT_EQ(text.take_certain(), "");
  EXPECT_FALSE(text.append("T\n"));
  EXPECT_EQ(text.take_certain(), "ENT");
  EXPECT_FALSE(text.append("#"));
  EXPECT_EQ(text.take_certain(), "");
  EXPECT_TRUE(text.append("# more"));
  EXPECT_EQ(text.take_rest(), "");
  EXPECT_EQ(text.text(), "one ENT");
}

TEST(CompletionTextTest, NoCharacterIsCut) {
  CompletionText text;
  EXPECT_FALSE(text.append("a\xe2\x82"));
  EXPECT_EQ(text.take_certain(), "a");
  EXPECT_FALSE(text.append("\xac!\xff\xf0\x9f"));
  EXPECT_EQ(text.take_certain(), "\xe2\x82\xac!\xef\xbf\xbd");
  EXPECT_EQ(text.take_rest(), "\xef\xbf\xbd");
  EXPECT_EQ(text.text(), "a\xe2\x82\xac!\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(CompletionTextTest, TheRestCanBeDropped) {
  CompletionText text({"stop"});
  text.append("ast");
  EXPECT_EQ(text.take_certain(), "a");
  text.drop_rest();
  EXPECT_EQ(text.text(), "a");
}

// Few letters and stop strings that overlap themselves, parts of characters
// and wrong bytes: what is shown is never taken back.
TEST(CompletionTextTest, PiecesAreTheTextWhereverTokensEnd) {
  const std::vector<std::string> letters = {"a",    "b",    "\xc3", "\xa9",
                                            "\xe2", "\x82", "\xac", "\xff"};
  for (uint64_t key = 0; key < 3000; ++key) {
    uint64_t draw = 0;
    const auto some = [&](uint64_t most) {
      std::string bytes;
      const uint64_t size = 1 + draw_index(key, draw++, most);
      for (uint64_t i = 0; i < size; ++i) {
        bytes += letters[draw_index(key, draw++, letters.size())];
      }
      return bytes;
    };
    CompletionText text({some(5), "aab" + some(2), "abab"});
    std::string shown;
    for (int token = 0; token < 12; ++token) {
      if (text.append(some(4))) break;
      const std::string piece = text.take_certain();
      EXPECT_TRUE(text::is_valid_utf8(piece));
      shown += piece;
      EXPECT_TRUE(text.text().starts_with(shown));
    }
    EXPECT_EQ(shown + text.take_rest(), text.text()) << key;
  }
}

}  // namespace
}  // namespace selfalign::generate
