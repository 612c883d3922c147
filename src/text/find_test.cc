// SPDX-License-Identifier: Apache-2.0
#include "text/find.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace selfalign::text {
namespace {

std::string hit(const std::string& what, bool is_regex,
                const std::string& text) {
  const auto found = Finder(what, is_regex).find(text);
  return found ? text.substr(found->begin, found->length) : "none";
}

TEST(Find, PlainTextMeansItself) {
  EXPECT_EQ(hit("a.c", false, "abc A.C"), "A.C");
  EXPECT_EQ(hit("(", false, "f(x)"), "(");
  EXPECT_EQ(hit("\xc3\xa4", false, "\xff\xc3\x84"), "\xc3\x84");
  EXPECT_EQ(hit("x", false, "abc"), "none");
}

TEST(Find, ExpressionsMatch) {
  EXPECT_EQ(hit("b+\\w", true, "abbbc"), "bbbc");
  EXPECT_EQ(hit("^two$", true, "one\nTwo\n"), "Two");
  EXPECT_EQ(hit("x*", true, "abc"), "none");
}

TEST(Find, WrongOrEndlessExpressionsAreRefused) {
  EXPECT_THROW(Finder("(", true), Error);
  EXPECT_THROW(Finder("", false), Error);
  const Finder endless("(a+)+$", true);
  EXPECT_THROW(endless.find(std::string(40, 'a') + "b"), Error);
}

}  // namespace
}  // namespace selfalign::text
