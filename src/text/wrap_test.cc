// SPDX-License-Identifier: Apache-2.0
#include "text/wrap.h"

#include <gtest/gtest.h>

namespace selfalign::text {
namespace {

TEST(Wrap, BreaksAtSpaces) {
  EXPECT_EQ(wrap_text("one two three four", "  ", 15),
            "  one two three\n  four\n");
  EXPECT_EQ(wrap_text("a b\n \n\nc", "> ", 40), "> a b\n\n\n> c\n");
  EXPECT_EQ(wrap_text("", "  ", 40), "");
}

TEST(Wrap, CutsLongWordsBetweenCharacters) {
  EXPECT_EQ(wrap_text("abcdefghijklmno", "", 10), "abcdefghij\nklmno\n");
  const std::string umlauts = "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6";
  EXPECT_EQ(wrap_text(umlauts + umlauts + "xy", "", 10),
            umlauts + umlauts + "\nxy\n");
  EXPECT_EQ(wrap_text("\xff\xfe bytes", "", 10), "\xff\xfe bytes\n");
}

TEST(Wrap, MakesOneLine) {
  EXPECT_EQ(one_line("  a\n\n b\tc ", 20), "a b c");
  EXPECT_EQ(one_line("abcdefghij", 10), "abcdefghij");
  EXPECT_EQ(one_line("abcdefghijk", 10), "abcdefg...");
}

}  // namespace
}  // namespace selfalign::text
