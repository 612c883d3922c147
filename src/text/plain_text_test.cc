// SPDX-License-Identifier: Apache-2.0
#include "text/plain_text.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::text {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view text) {
  try {
    require_text(text, "notes");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

TEST(PlainText, TakesUtf8) {
  EXPECT_EQ(refusal(""), "no error");
  EXPECT_EQ(refusal("caf\xc3\xa9\r\n\xf0\x9f\x98\x80\t"), "no error");
  EXPECT_EQ(refusal("\xef\xbb\xbfwith a mark"), "no error");
}

TEST(PlainText, RefusesOtherBytesWithTheirPlace) {
  EXPECT_THAT(refusal("caf\xe9"),
              HasSubstr("notes:1:4: expected text in UTF-8, "
                        "found the byte 0xe9"));
  // Columns are characters.
  EXPECT_THAT(refusal("one\n\xc3\xa9\xc3\xa9 \x93quoted\x94"),
              HasSubstr("notes:2:4: "));
  EXPECT_THAT(refusal("\xef\xbb\xbf\xe9"), HasSubstr("notes:1:1: "));
  EXPECT_THAT(refusal("cut \xe2\x82"), HasSubstr("notes:1:5: "));
  EXPECT_THAT(refusal("surrogate \xed\xa0\x80"), HasSubstr("notes:1:11: "));
}

TEST(PlainText, NamesWideEncodingsAndNul) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view text :
       {"\xff\xfe"
        "a\0b\0"sv,
        "\xfe\xff\0a\0b"sv, "a\0b\0"sv, "\0a\0b"sv, "a\0\0\0b\0\0\0"sv}) {
    EXPECT_THAT(refusal(text), HasSubstr("found UTF-16 or UTF-32"));
  }
  EXPECT_THAT(refusal("plain text\n with\0 one"sv),
              HasSubstr("notes:2:6: expected text in UTF-8, found a NUL byte"));
}

// A line has no file, and one NUL in it is no other encoding.
TEST(PlainText, SaysWhereInALine) {
  using std::string_view_literals::operator""sv;
  const auto refusal = [](std::string_view line) {
    return std::string(
        error_of([&] { require_line(line, "stdin line 7"); }).what());
  };
  EXPECT_EQ(refusal("Hi\0there"sv),
            "stdin line 7: expected text in UTF-8, found a NUL byte at "
            "character 3; give the line without it, in UTF-8");
  EXPECT_EQ(
      refusal("caf\xe9"),
      "stdin line 7: expected text in UTF-8, found the byte 0xe9 (perhaps "
      "Latin-1 or Windows-1252) at character 4; give the line without it, "
      "in UTF-8");
  EXPECT_EQ(find_line_flaw("caf\xc3\xa9"), std::nullopt);
}

TEST(PlainText, ReadsAFileWithoutItsMark) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/text";
  write_file_atomic(path, "\xef\xbb\xbfline\n");
  EXPECT_EQ(read_text(path), "line\n");
  write_file_atomic(path, "line\n\xe9");
  EXPECT_THAT(error_of([&] { read_text(path); }).what(),
              HasSubstr(path + ":2:1: "));
}

}  // namespace
}  // namespace selfalign::text
