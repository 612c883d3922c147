// SPDX-License-Identifier: Apache-2.0
#include "base/shown.h"

#include <gtest/gtest.h>

namespace selfalign {
namespace {

TEST(Shown, IsTheBeginningInWholeCharacters) {
  EXPECT_EQ(shown("abc", 3), "abc");
  EXPECT_EQ(shown("abcd", 3), "abc...");
  EXPECT_EQ(shown("aéé", 4), "aé...");
  EXPECT_EQ(beginning_of("a\nbc", 3), "a\nb...");
}

TEST(Shown, IsOneLineWithoutControlCharacters) {
  EXPECT_EQ(shown("a\nb\r\tc"), "a b  c");
  EXPECT_EQ(shown("a\x1b[2J\x7f"), "a\ufffd[2J\ufffd");
}

}  // namespace
}  // namespace selfalign
