// SPDX-License-Identifier: Apache-2.0
#include "text/pattern.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> matches(const std::string& pattern,
                                 std::string_view text) {
  const Pattern compiled(pattern, "test");
  Pattern::Scratch scratch;
  Pattern::Search search(compiled, text, scratch);
  std::vector<std::string> found;
  while (search.next()) {
    found.emplace_back(
        text.substr(search.begin(), search.end() - search.begin()));
  }
  return found;
}

TEST(Pattern, SetsInSetsAndIntersections) {
  EXPECT_THAT(matches("[a[bc]d]+", "abcde"), ElementsAre("abcd"));
  EXPECT_THAT(matches("[a-z&&[^aeiou]]+", "strength"),
              ElementsAre("str", "ngth"));
  EXPECT_THAT(matches("[^a&&b]", "abc"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(matches("[^\\s[0-9]]+", "ab 12 c"), ElementsAre("ab", "c"));
  EXPECT_THAT(matches("[\\S&&[^\\p{L}]]+", "a1! b"), ElementsAre("1!"));
  EXPECT_THAT(matches("[[:alpha:]_]+", "a_1"), ElementsAre("a_"));
  EXPECT_THAT(matches("[]a]+", "]a["), ElementsAre("]a"));
  EXPECT_THAT(matches("[a&b]+", "a&b"), ElementsAre("a&b"));
}

TEST(Pattern, WhatMeansSomethingElseInOniguruma) {
  EXPECT_THAT(matches("\\h+", "fg0G"), ElementsAre("f", "0"));
  EXPECT_THAT(matches("\\p{^L}+", "a1b"), ElementsAre("1"));
  // Scripts, and not what is used with them.
  EXPECT_THAT(matches("\\p{Han}", "\u4e2d\u3001"), ElementsAre("\u4e2d"));
  // Not possessive.
  EXPECT_THAT(matches("a{1,2}+a", "aaaaa"), ElementsAre("aaaaa"));
  EXPECT_THAT(matches("^a$", "a\nb\na"), ElementsAre("a", "a"));
  EXPECT_THAT(matches("(?m:a.b)", "a\nb"), ElementsAre("a\nb"));
  EXPECT_THAT(matches("\\u00e9", "e\u00e9"), ElementsAre("\u00e9"));
  EXPECT_THAT(matches("e\\b", "e\u0301 e."), ElementsAre("e"));
  EXPECT_THAT(matches("e\\B", "e\u0301 e."), ElementsAre("e"));
  EXPECT_THAT(matches("a{x", "a{x"), ElementsAre("a{x"));
}

TEST(Pattern, KnowsCharactersThatAreNewerThanPcre2) {
  // A letter, a digit and a symbol of Unicode 16, a letter of 15.
  EXPECT_THAT(matches("\\p{L}+", "a\u1C89-\U00016100"),
              ElementsAre("a\u1C89", "\U00016100"));
  EXPECT_THAT(matches("\\p{Lu}", "\u1C89\u1C8A"), ElementsAre("\u1C89"));
  EXPECT_THAT(matches("[^\\p{L}\\p{N}]+", "\U0001CCF0\U0001CC00x"),
              ElementsAre("\U0001CC00"));
  EXPECT_TRUE(has_newer_characters("abc\u1C89"));
  EXPECT_FALSE(has_newer_characters("abc\u4e2d\U0001F600\xff"));
}

TEST(Pattern, EmptyMatchesAreThoseOfFindIter) {
  EXPECT_THAT(matches("x*", "axb"), ElementsAre("", "x", ""));
  EXPECT_THAT(matches("(?=(\\d{3})+(?!\\d))", "1234567").size(), 2u);
  EXPECT_THAT(matches("", ""), ElementsAre(""));
}

TEST(Pattern, RefusesWhatItDoesNotKnow) {
  for (const char* pattern :
       {"(", "[a", "[a[b]", "\\", "\\p", "\\p{Nobody}", "\\p{L", "(?s:a)",
        "a{2,3}+", "\\u12", "[[:alpha]", "\\p{sc=Han}"}) {
    EXPECT_THROW(Pattern(pattern, "where"), Error) << pattern;
  }
  try {
    Pattern(std::string(100, '['), "where");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("where: expected a pattern"));
    EXPECT_THAT(error.what(), HasSubstr("sets in sets"));
  }
}

}  // namespace
}  // namespace selfalign::text
