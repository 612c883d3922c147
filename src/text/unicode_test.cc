// SPDX-License-Identifier: Apache-2.0
#include "text/unicode.h"

#include <gtest/gtest.h>

namespace selfalign::text {
namespace {

TEST(Unicode, EveryCodePointComesBack) {
  for (int32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, code);
    const Utf8Char back = utf8_char(text, 0);
    ASSERT_EQ(back.code, code);
    ASSERT_EQ(back.length, text.size());
  }
}

TEST(Unicode, RunsCutAtWrongBytes) {
  std::string seen;
  for_each_utf8_run("aé\xFF\xE2\x82z", [&](std::string_view run, bool valid) {
    seen += (valid ? "+" : "-") + std::to_string(run.size());
  });
  EXPECT_EQ(seen, "+3-3+1");
}

// As \w of Rust's regular expressions, which HF's tokenizers use.
TEST(Unicode, WordCharacters) {
  for (const int32_t code :
       {int32_t{'a'}, int32_t{'Z'}, int32_t{'0'}, int32_t{'_'}, 0xE9, 0x301,
        0x661, 0x2160, 0x203F, 0x200C, 0x200D, 0x24B6, 0x1F130, 0x4E2D}) {
    EXPECT_TRUE(is_word(code)) << std::hex << code;
  }
  for (const int32_t code : {int32_t{' '}, int32_t{'-'}, int32_t{'.'}, 0xB2,
                             0xBD, 0x2460, 0x24EA, 0x200B, 0x20AC, 0x1F600}) {
    EXPECT_FALSE(is_word(code)) << std::hex << code;
  }
}

TEST(Unicode, Forms) {
  EXPECT_EQ(to_form("e\u0301", TextForm::kNfc), "é");
  EXPECT_EQ(to_form("é", TextForm::kNfd), "e\u0301");
  EXPECT_EQ(to_form("ﬁ①", TextForm::kNfkc), "fi1");
  EXPECT_EQ(to_form("ﬁé", TextForm::kNfkd), "fie\u0301");
  EXPECT_EQ(to_form("ÀB", TextForm::kLower), "àb");
  EXPECT_EQ(to_form("e\u0301\xFF"
                    "e\u0301",
                    TextForm::kNfc),
            "é\xFFé");
  EXPECT_EQ(to_form(std::string("\0e\u0301", 4), TextForm::kNfc),
            std::string("\0é", 3));
}

TEST(Unicode, BlankTextsShowNothing) {
  using std::string_literals::operator""s;
  for (const std::string& text :
       {""s, " \t\r\n"s, "\u00a0"s, "\u200b"s, "\ufeff"s, "\u3000"s, "\u2003"s,
        "\u2028"s, "\u00ad"s, "\u200d"s, "\0"s, "\u2800"s, "\u3164"s, "\ufe0f"s,
        "\U000e0020"s, " \u200b\n\u2060"s}) {
    EXPECT_TRUE(is_blank(text)) << text;
  }
  for (const std::string& text : {"a"s, "."s, "\u0301"s, "\u4e2d"s,
                                  "\U0001f600"s, " \u200bx"s, "\xff"s}) {
    EXPECT_FALSE(is_blank(text)) << text;
  }
}

TEST(Unicode, Classes) {
  EXPECT_TRUE(is_letter(0xE9) && is_letter(0x4E2D) && !is_letter('1'));
  EXPECT_TRUE(is_number('1') && is_number(0xBD) && !is_number('x'));
  EXPECT_TRUE(is_mark(0x301) && !is_mark('x'));
  EXPECT_TRUE(is_word('_') && is_word(0x301) && !is_word('-'));
  EXPECT_TRUE(is_space(0x85) && is_space(0x3000) && !is_space(0x180E));
}

}  // namespace
}  // namespace selfalign::text
