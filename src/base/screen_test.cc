#include "base/screen.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <cstdlib>

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
