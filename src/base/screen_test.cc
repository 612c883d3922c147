// SPDX-License-Identifier: Apache-2.0
#include "base/screen.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <cstdlib>

#include "base/json.h"

namespace selfalign {
namespace {

TEST(Screen, WidthsAreColumns) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("\xc3\xa9\xe4\xb8\xad\xe6\x96\x87"), 5u);  // é中文
  EXPECT_EQ(display_width("e\xcc\x81"), 1u);         // a combining accent
  EXPECT_EQ(display_width("\xf0\x9f\x98\x80"), 2u);  // an emoji
  EXPECT_EQ(display_width("a\xff"), 2u);
}

TEST(Screen, TextIsCutBetweenCharacters) {
  EXPECT_EQ(cut_to_width("abc", 5), "abc");
  EXPECT_EQ(cut_to_width("abc", 2), "ab");
  EXPECT_EQ(cut_to_width("a\xe4\xb8\xad\xe6\x96\x87", 4), "a\xe4\xb8\xad");
  EXPECT_EQ(cut_to_width("e\xcc\x81x", 1), "e\xcc\x81");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

// One of each kind that a terminal obeys, in UTF-8.
const char* const kUnsafe[] = {
    "\x1b",
    "\x07",
    "\b",
    "\r",
    "\x01",
    "\x7f",  // C0, DEL
    "\xc2\x9b",
    "\xc2\x80",
    "\xc2\x85",  // C1
    "\xd8\x9c",
    "\xe2\x80\x8e",
    "\xe2\x80\x8f",  // U+061C, U+200E, U+200F
    "\xe2\x80\xa8",
    "\xe2\x80\xa9",  // U+2028, U+2029
    "\xe2\x80\xaa",
    "\xe2\x80\xae",  // U+202A, U+202E
    "\xe2\x81\xa6",
    "\xe2\x81\xa9",  // U+2066, U+2069
    "\xf3\xa0\x80\x80",
    "\xf3\xa0\x81\xbf",  // U+E0000, U+E007F
};

TEST(Screen, WhatATerminalObeysIsReplaced) {
  const std::string replaced =
      "a\xef\xbf\xbd"
      "b";
  for (const std::string unsafe : kUnsafe) {
    EXPECT_EQ(screen_text("a" + unsafe + "b"), replaced) << unsafe;
  }
  EXPECT_EQ(screen_text(std::string("a\0b", 3)), replaced);
  for (const std::string wrong :
       {"\x9b", "\xff", "\xc2", "\xe2\x80", "\xed\xa0\x80", "\xc0\x80"}) {
    const std::string safe = screen_text("a" + wrong + "b");
    EXPECT_EQ(safe.find(wrong), std::string::npos) << wrong;
    EXPECT_EQ(screen_text(safe), safe);
  }
}

TEST(Screen, WhatItShowsStays) {
  for (const std::string shown :
       {"tab\tand\nline", "\xc3\xa9\xe4\xb8\xad", "\xf0\x9f\x98\x80",
        "e\xcc\x81", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", "~ "}) {
    EXPECT_EQ(screen_text(shown), shown);
    EXPECT_EQ(screen_json(shown), shown);
  }
  EXPECT_EQ(screen_text("a\r\nb"), "a\nb");
}

TEST(Screen, JsonStaysTheSameData) {
  for (const std::string unsafe : kUnsafe) {
    const Json value = Json::array({"a" + unsafe + "b", "\\"});
    const std::string json = screen_json(dump_json(value));
    EXPECT_EQ(json.find(unsafe), std::string::npos) << unsafe;
    EXPECT_EQ(parse_json(json, "json"), value) << json;
  }
}

class OnTerminal : public testing::Test {
 protected:
  OnTerminal() {
    winsize size{24, 33, 0, 0};
    EXPECT_EQ(::openpty(&master_, &terminal_, nullptr, nullptr, &size), 0);
  }
  ~OnTerminal() override {
    ::close(master_);
    ::close(terminal_);
    restore("TERM", term_);
    restore("NO_COLOR", no_color_);
  }
  static std::string value(const char* name) {
    const char* text = std::getenv(name);
    return text != nullptr ? text : "";
  }
  static void restore(const char* name, const std::string& text) {
    text.empty() ? ::unsetenv(name) : ::setenv(name, text.c_str(), 1);
  }

  int master_ = -1;
  int terminal_ = -1;

 private:
  const std::string term_ = value("TERM");
  const std::string no_color_ = value("NO_COLOR");
};

TEST_F(OnTerminal, EscapesGoWhereTheyAreWanted) {
  EXPECT_EQ(screen_width(terminal_), 33u);
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "xterm", 1);
  EXPECT_TRUE(takes_escapes(terminal_));
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  EXPECT_FALSE(takes_escapes(pipe_ends[1]));
  EXPECT_FALSE(rewrites_lines(pipe_ends[1]));
  EXPECT_EQ(screen_width(pipe_ends[1]), 80u);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(takes_escapes(terminal_));
  EXPECT_TRUE(rewrites_lines(terminal_));
  ::unsetenv("NO_COLOR");
  for (const char* term : {"dumb", ""}) {
    ::setenv("TERM", term, 1);
    EXPECT_FALSE(takes_escapes(terminal_));
    EXPECT_FALSE(rewrites_lines(terminal_));
  }
  ::unsetenv("TERM");
  EXPECT_FALSE(rewrites_lines(terminal_));
}

}  // namespace
}  // namespace selfalign
