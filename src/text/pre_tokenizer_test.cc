// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.h"

#include <gmock/gmock.h>

#include "base/error.h"

namespace selfalign::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> words_of(std::vector<PreTokenizerStep> steps,
                                  std::string_view text) {
  const PreTokenizer pre_tokenizer(std::move(steps), "test");
  std::vector<std::string> words;
  pre_tokenizer.split(text,
                      [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

std::vector<std::string> named(const std::string& name, std::string_view text) {
  return words_of(pre_tokenizer_named(name, "test"), text);
}

PreTokenizerStep step(const std::string& pattern, SplitBehavior behavior,
                      bool invert = false) {
  PreTokenizerStep made;
  made.pattern = pattern;
  made.behavior = behavior;
  made.invert = invert;
  return made;
}

TEST(PreTokenizer, Names) {
  EXPECT_THAT(named("gpt2", "I'll pay 123 €  now\n\nok "),
              ElementsAre("I", "'ll", " pay", " 123", " €", " ", " now", "\n",
                          "\n", "ok", " "));
  EXPECT_THAT(named("smollm", "x12  3 y"),
              ElementsAre("x", "1", "2", "  ", "3", " y"));
  EXPECT_THAT(named("smollm", "a\U0001E5F1\U0001E5F2"),  // of Unicode 16
              ElementsAre("a", "\U0001E5F1", "\U0001E5F2"));
  EXPECT_THAT(named("llama-bpe", "I'LL (1234)\n\n x"),
              ElementsAre("I", "'LL", " (", "123", "4", ")\n\n", " x"));
  EXPECT_THAT(named("qwen2", "a 12"), ElementsAre("a", " ", "1", "2"));
  EXPECT_THAT(named("default", "a1234.b 12+c"),
              ElementsAre("a", "123", "4", ".", "b", " ", "12", "+", "c"));
  EXPECT_THAT(named("gpt2", ""), ElementsAre());
  EXPECT_THROW(named("unheard-of", "x"), Error);
}

TEST(PreTokenizer, WrongBytesAreWordsOfTheirOwn) {
  EXPECT_THAT(named("gpt2",
                    "ab\xFF\xFE"
                    "cd\xE2\x82"),
              ElementsAre("ab", "\xFF\xFE", "cd", "\xE2\x82"));
}

TEST(PreTokenizer, Behaviors) {
  const std::string text = "a--b-";
  const auto cut = [&](SplitBehavior behavior) {
    return words_of({step("-", behavior)}, text);
  };
  EXPECT_THAT(cut(SplitBehavior::kIsolated),
              ElementsAre("a", "-", "-", "b", "-"));
  EXPECT_THAT(cut(SplitBehavior::kRemoved), ElementsAre("a", "b"));
  EXPECT_THAT(cut(SplitBehavior::kMergedWithPrevious),
              ElementsAre("a-", "-", "b-"));
  EXPECT_THAT(cut(SplitBehavior::kMergedWithNext),
              ElementsAre("a", "-", "-b", "-"));
  EXPECT_THAT(cut(SplitBehavior::kContiguous),
              ElementsAre("a", "--", "b", "-"));
  EXPECT_THAT(words_of({step("[a-z]", SplitBehavior::kRemoved, true)}, text),
              ElementsAre("a", "b"));
}

TEST(PreTokenizer, PrefixSpaceAndQuotedPattern) {
  PreTokenizerStep prefix;
  prefix.kind = PreTokenizerStep::Kind::kPrefixSpace;
  EXPECT_THAT(words_of({prefix, gpt2_step()}, "a b"), ElementsAre(" a", " b"));
  EXPECT_THAT(words_of({prefix, gpt2_step()}, " a"), ElementsAre(" a"));
  EXPECT_THAT(
      words_of({step(quote_pattern("a.*"), SplitBehavior::kIsolated)}, "aba.*"),
      ElementsAre("ab", "a.*"));
}

TEST(PreTokenizer, ClassesAreUnicodes) {
  // U+180E is not white space, U+0085 is; \w holds marks and connectors.
  EXPECT_THAT(
      words_of({step(R"(\s)", SplitBehavior::kIsolated)}, "a\u180Eb\u0085c"),
      ElementsAre("a\u180Eb", "\u0085", "c"));
  EXPECT_THAT(words_of({step(R"([\w]+)", SplitBehavior::kIsolated)},
                       "e\u0301_\u203F-x"),
              ElementsAre("e\u0301_\u203F", "-", "x"));
}

TEST(PreTokenizer, EmptyMatchesCut) {
  EXPECT_THAT(words_of({step("x*", SplitBehavior::kIsolated)}, "abxé"),
              ElementsAre("a", "b", "x", "é"));
  EXPECT_THAT(words_of({step("(?=(\\d{3})+(?!\\d))", SplitBehavior::kIsolated)},
                       "1234567"),
              ElementsAre("1", "234", "567"));
}

TEST(PreTokenizer, Metaspace) {
  PreTokenizerStep metaspace;
  metaspace.kind = PreTokenizerStep::Kind::kMetaspace;
  metaspace.text = "_";
  EXPECT_THAT(words_of({metaspace}, "ab  c"), ElementsAre("_ab", "_", "_c"));
  EXPECT_THAT(words_of({metaspace}, " a"), ElementsAre("_a"));
  EXPECT_THAT(words_of({metaspace}, "_a"), ElementsAre("_a"));
  metaspace.cuts = false;
  EXPECT_THAT(words_of({metaspace}, "ab  c"), ElementsAre("_ab__c"));
  metaspace.prepend = PrependScheme::kNever;
  EXPECT_THAT(words_of({metaspace}, "ab c"), ElementsAre("ab_c"));
  // Words that are cut before are words to it.
  metaspace.prepend = PrependScheme::kAlways;
  EXPECT_THAT(words_of({step(" ", SplitBehavior::kRemoved), metaspace}, "a b"),
              ElementsAre("_a", "_b"));
  metaspace.prepend = PrependScheme::kFirst;
  EXPECT_THAT(words_of({step(" ", SplitBehavior::kRemoved), metaspace}, "a b"),
              ElementsAre("_a", "b"));
}

TEST(PreTokenizer, OtherKinds) {
  EXPECT_THAT(
      words_of({punctuation_step(SplitBehavior::kIsolated)}, "a,$b\u2e43"),
      ElementsAre("a", ",", "$", "b\u2e43"));
  EXPECT_THAT(words_of({whitespace_step()}, "a\u00b2, \u200db"),
              ElementsAre("a", "\u00b2,", "\u200db"));
  PreTokenizerStep fixed;
  fixed.kind = PreTokenizerStep::Kind::kFixedLength;
  fixed.length = 2;
  EXPECT_THAT(words_of({fixed}, "a\u4e2db"), ElementsAre("a\u4e2d", "b"));
  PreTokenizerStep bytes;
  bytes.kind = PreTokenizerStep::Kind::kByteLevel;
  EXPECT_THAT(words_of({bytes}, " a\xff"), ElementsAre("\u0120a", "\u00ff"));
}

TEST(PreTokenizer, NamesOfGguf) {
  EXPECT_THAT(named("tekken", "helloWorld 12"),
              ElementsAre("hello", "World", " ", "1", "2"));
  EXPECT_THAT(named("gpt-4o", "It'sNot 1234"),
              ElementsAre("It's", "Not", " ", "123", "4"));
  EXPECT_THAT(named("deepseek-llm", "ab 12\n  \u4e2d"),
              ElementsAre("ab", " ", "12", "\n", "  ", "\u4e2d"));
  EXPECT_THAT(named("deepseek-coder", "a1 b."),
              ElementsAre("a", "1", " b", "."));
  EXPECT_THAT(named("deepseek-v3", "a1234 +b"),
              ElementsAre("a", "123", "4", " +", "b"));
  EXPECT_THAT(named("falcon", "a1234.b"),
              ElementsAre("a", "123", "4", ".", "b"));
  EXPECT_EQ(named("stablelm2", "a 12"), named("qwen2", "a 12"));
  EXPECT_EQ(named("dbrx", "a 1234"), named("llama-bpe", "a 1234"));
  for (const char* name : {"falcon3", "phi-2", "exaone", "minerva-7b", "glm4",
                           "refact", "command-r", "bloom", "viking"}) {
    EXPECT_FALSE(named(name, "a b").empty()) << name;
  }
  EXPECT_THROW(named("", "x"), Error);
  EXPECT_THROW(named("gpt2 olmo", "x"), Error);
  EXPECT_TRUE(ignores_merges_named("tekken") &&
              ignores_merges_named("falcon3"));
  EXPECT_FALSE(ignores_merges_named("dbrx") || ignores_merges_named("qwen2"));
}

TEST(PreTokenizer, RefusesWhatMeansSomethingElse) {
  for (const char* pattern : {"(", "[a", "\\p{Nobody}", "(?s:.)", "a{2,3}+"}) {
    EXPECT_THROW(words_of({step(pattern, SplitBehavior::kIsolated)}, "a"),
                 Error)
        << pattern;
  }
}

TEST(PreTokenizer, GivesUpOnExponentialPatterns) {
  try {
    words_of({step("(a+a+)+[bc]", SplitBehavior::kIsolated)},
             std::string(60, 'a'));
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("linear time"));
  }
}

TEST(PreTokenizer, LongRunsAreNoMatchForTheLimit) {
  for (const char* name : {"gpt2", "smollm", "llama-bpe"}) {
    const std::string spaces(300'000, ' ');
    EXPECT_EQ(named(name, spaces).size(), 1u);
    EXPECT_EQ(named(name, spaces + "a").size(), 2u);
    EXPECT_EQ(named(name, std::string(300'000, 'a')).size(), 1u);
    EXPECT_EQ(named(name, std::string(300'000, '-')).size(), 1u);
  }
}

}  // namespace
}  // namespace selfalign::text
