// SPDX-License-Identifier: Apache-2.0
#include "text/normalizer.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "text/decoder.h"
#include "text/reference_forms.h"

namespace selfalign::text {
namespace {

using testing::HasSubstr;
using Kind = NormalizerStep::Kind;

NormalizerStep step(Kind kind) {
  NormalizerStep made;
  made.kind = kind;
  return made;
}
NormalizerStep replace(const std::string& pattern, const std::string& content,
                       bool is_regex = false) {
  NormalizerStep made = step(Kind::kReplace);
  made.pattern = pattern;
  made.content = content;
  made.is_regex = is_regex;
  return made;
}
NormalizerStep prepend(const std::string& content) {
  NormalizerStep made = step(Kind::kPrepend);
  made.content = content;
  return made;
}

std::string normal(const std::vector<NormalizerStep>& steps,
                   std::string_view text, Begins begins = Begins::kText) {
  return Normalizer(steps, "test").apply(text, begins);
}

TEST(NormalizerTest, Steps) {
  EXPECT_EQ(normal({replace(" ", "__")}, " a b"), "__a__b");
  EXPECT_EQ(normal({replace(" {2,}", "-", true)}, "a  b c   "), "a-b c-");
  EXPECT_EQ(normal({replace("", "-")}, "ab"), "-a-b-");
  EXPECT_EQ(normal({prepend("_")}, "a"), "_a");
  EXPECT_EQ(normal({prepend("_")}, ""), "");
  EXPECT_EQ(normal({step(Kind::kStrip)}, " \u3000a \n"), "a");
  EXPECT_EQ(normal({step(Kind::kNmt)}, "a\x01\tb\u200b\u2581"), "a b  ");
  EXPECT_EQ(normal({TextForm::kNfd, step(Kind::kStripAccents)}, "\u00e9a"),
            "ea");
  EXPECT_EQ(normal({step(Kind::kByteLevel)}, " a"), "\u0120a");
  EXPECT_EQ(normal({step(Kind::kCleanText), step(Kind::kChineseChars)},
                   "a\t\x02\u4e2d"),
            "a  \u4e2d ");
  EXPECT_EQ(normal({step(Kind::kBertAccents)}, "\u00e9"), "e");
  // Bytes that are no text stay.
  EXPECT_EQ(normal({TextForm::kNfkc, step(Kind::kNmt), replace("a", "b")},
                   "a\xff\xe2\x96"),
            "b\xff\xe2\x96");
}

// What goes in front of a text, or away from its front, is not done where text
// stands before it.
TEST(NormalizerTest, WhereATextBegins) {
  EXPECT_EQ(normal({prepend("_")}, "a", Begins::kInText), "a");
  EXPECT_EQ(normal({prepend("_")}, "a", Begins::kAfterToken), "_a");
  EXPECT_EQ(normal({step(Kind::kStrip)}, " a ", Begins::kInText), " a");
}

// As the reference (tokenizers 0.23) takes what Metaspace's "first" is asked.
TEST(NormalizerTest, WhatIsLeftOfATextMayNotBeginIt) {
  const auto begins_text = [](std::vector<NormalizerStep> steps,
                              std::string_view text) {
    Begins begins = Begins::kText;
    Normalizer(std::move(steps), "test").apply(text, begins);
    return begins == Begins::kText;
  };
  NormalizerStep pattern = replace("x+", "y");
  pattern.is_regex = true;
  EXPECT_TRUE(begins_text({step(Kind::kStrip)}, "a "));
  EXPECT_FALSE(begins_text({step(Kind::kStrip)}, " a"));
  EXPECT_FALSE(begins_text({step(Kind::kStripAccents)}, "\u0301a"));
  EXPECT_FALSE(begins_text({replace("``", "\"")}, "``a"));
  EXPECT_FALSE(begins_text({replace("``", "\"\"")}, "``a"));
  EXPECT_TRUE(begins_text({replace("``", "\"")}, "a``"));
  EXPECT_TRUE(begins_text({replace("`", "\"")}, "`a"));
  EXPECT_FALSE(begins_text({replace("`", "")}, "`a"));
  EXPECT_FALSE(begins_text({pattern}, "xxa"));
  EXPECT_TRUE(begins_text({pattern}, "xa"));
  EXPECT_TRUE(begins_text({pattern}, "axx"));
  EXPECT_TRUE(begins_text({replace("é", "e")}, "éa"));
  EXPECT_FALSE(begins_text({replace("e\u0301", "e")}, "e\u0301a"));
  EXPECT_TRUE(begins_text({TextForm::kNfc, replace("é", "e")}, "e\u0301a"));
  EXPECT_TRUE(begins_text({TextForm::kNfd, replace("e\u0301", "z")}, "éa"));
  EXPECT_TRUE(begins_text({TextForm::kNfkd, replace("1⁄", "z")}, "½a"));
  EXPECT_FALSE(begins_text({TextForm::kNfkd, replace("1⁄2a", "z")}, "½a"));
  EXPECT_TRUE(begins_text({prepend("xy"), replace("xya", "q")}, "ab"));
  EXPECT_TRUE(begins_text({prepend("x"), replace("x", "")}, "ab"));
  EXPECT_FALSE(begins_text({replace("aa", "b"), replace("b", "c")}, "aax"));
}

TEST(NormalizerTest, TextsDoNotGrowBeyondMeasure) {
  const std::vector<NormalizerStep> doubling(32, replace("a", "aa"));
  try {
    normal(doubling, std::string(10'000, 'a'));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("at most 64 bytes of one"));
  }
  EXPECT_THROW(normal({replace("a", std::string(1 << 20, 'b'))},
                      std::string(1 << 20, 'a')),
               Error);
}

TEST(DecoderTest, TokensDoNotGrowBeyondMeasure) {
  DecoderStep doubles;
  doubles.kind = DecoderStep::Kind::kReplace;
  doubles.text = "a";
  doubles.content = "aa";
  const Decoder twice({doubles}, "test");
  EXPECT_EQ(twice.token("ab", false), "aab");
  EXPECT_THROW(
      Decoder(std::vector<DecoderStep>(32, doubles), "test").token("a", false),
      Error);
  doubles.content = std::string(1 << 20, 'a');
  EXPECT_THROW(Decoder({doubles}, "test").token("a", false), Error);
}

TEST(NormalizerTest, Shrink) {
  const auto shrink = [](const std::vector<NormalizerStep>& steps) {
    return Normalizer(steps, "test").max_shrink();
  };
  EXPECT_EQ(shrink({}), 1u);
  EXPECT_EQ(shrink({prepend("_"), replace(" ", "\u2581")}), 1u);
  EXPECT_EQ(shrink({replace("abcde", "x"), TextForm::kNfc}), 20u);
  EXPECT_EQ(shrink({replace("a", "")}), 0u);
  EXPECT_EQ(shrink({replace("a", "b", true)}), 0u);
  EXPECT_EQ(shrink({step(Kind::kStrip)}), 0u);
  EXPECT_EQ(shrink(std::vector<NormalizerStep>(32, TextForm::kNfc)), 0u);
}

// As old as the tables of the reference are, or as new.
TEST(ReferenceForms, AreThoseOfItsUnicode) {
  EXPECT_EQ(reference_form("\u32FF", TextForm::kNfkc), "\u32FF");
  EXPECT_EQ(reference_form("\u3300", TextForm::kNfkc),
            to_form("\u3300", TextForm::kNfkc));
  // A mark of Unicode 14 has no class to be ordered by.
  EXPECT_EQ(reference_form("a\u0898\u0323", TextForm::kNfd), "a\u0898\u0323");
  EXPECT_EQ(reference_form("e\u0301", TextForm::kNfc), "\u00e9");
  EXPECT_EQ(reference_form("\u1100\u116b\u11a7", TextForm::kNfc),
            "\uad18\u11a7");
  EXPECT_EQ(reference_form("\u1C89A", TextForm::kLower), "\u1C8Aa");
  EXPECT_TRUE(reference_is_mark(0x301) && reference_is_mark(0x1CF2));
  EXPECT_FALSE(reference_is_mark(0x898) || reference_is_mark('a'));
}

}  // namespace
}  // namespace selfalign::text
