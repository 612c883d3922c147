// SPDX-License-Identifier: Apache-2.0
#include "cli/lines.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/interrupt.h"
#include "base/testing.h"
#include "cli/terminal.h"

namespace selfalign::cli {
namespace {

class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    read_end = ends[0];
    write_end_ = ends[1];
  }
  ~Pipe() {
    close_write();
    ::close(read_end);
  }
  void write(const std::string& text) {
    ASSERT_EQ(::write(write_end_, text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  void close_write() {
    if (write_end_ >= 0) ::close(write_end_);
    write_end_ = -1;
  }

  int read_end;

 private:
  int write_end_;
};

TEST(LineReaderTest, SplitsLinesAndCountsThem) {
  Pipe pipe;
  pipe.write("one\r\n\n  \ntwo\nlast");
  pipe.close_write();
  LineReader reader(pipe.read_end, "input");
  EXPECT_EQ(reader.next(), "one");
  EXPECT_EQ(reader.where(), "input line 1");
  EXPECT_EQ(reader.next_filled(), "two");
  EXPECT_EQ(reader.where(), "input line 4");
  EXPECT_EQ(reader.next(), "last");
  EXPECT_EQ(reader.next(), std::nullopt);
  EXPECT_EQ(reader.next(), std::nullopt);
}

TEST(LineReaderTest, ReadyOnlyWithAWholeLineOrAtTheEnd) {
  Pipe pipe;
  LineReader reader(pipe.read_end);
  EXPECT_FALSE(reader.ready());
  pipe.write("half");
  EXPECT_FALSE(reader.ready());
  pipe.write(" and half\nmore");
  EXPECT_TRUE(reader.ready());
  EXPECT_EQ(reader.next(), "half and half");
  EXPECT_FALSE(reader.ready());
  pipe.close_write();
  EXPECT_TRUE(reader.ready());
  EXPECT_EQ(reader.next(), "more");
}

TEST(LineReaderTest, LongLinesArriveWhole) {
  Pipe pipe;
  const std::string part(30000, 'x');
  LineReader reader(pipe.read_end);
  for (int i = 0; i < 20; ++i) {
    pipe.write(part);
    EXPECT_FALSE(reader.ready());
  }
  pipe.write("\n");
  EXPECT_EQ(reader.next()->size(), 600000u);
}

TEST(LineReaderTest, AnInterruptEndsTheWait) {
  Pipe pipe;
  pipe.write("there\n");
  set_interrupted(true);
  LineReader reader(pipe.read_end);
  EXPECT_EQ(reader.next(), std::nullopt);
  set_interrupted(false);
  EXPECT_EQ(reader.next(), "there");
}

// stdout replaced by `descriptor` for the life of the object.
class StdoutAs {
 public:
  explicit StdoutAs(int descriptor) : saved_(::dup(STDOUT_FILENO)) {
    ::dup2(descriptor, STDOUT_FILENO);
  }
  ~StdoutAs() {
    ::dup2(saved_, STDOUT_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

TEST(WriteOutTest, TextIsMadeSafeAndDataStaysAsItIs) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  {
    const StdoutAs pipe(ends[1]);
    write_out(
        "a\x1b[2J\xc2\x9b"
        "b\n");
    write_out(styled(Style::kHit, "\x1b[8m") +
              "\x01"
              "1x\x02\n");
    write_data("c\x1b\xe2\x80\xae\n");
    write_json(Json("\xe2\x80\xae"));
  }
  ::close(ends[1]);
  std::string bytes(4096, '\0');
  const ssize_t n = ::read(ends[0], bytes.data(), bytes.size());
  ::close(ends[0]);
  bytes.resize(n > 0 ? size_t(n) : 0);
  constexpr char kGone[] = "\xef\xbf\xbd";
  EXPECT_EQ(bytes,
            str("a", kGone, "[2J", kGone, "b\n", ">>", kGone, "[8m<<", kGone,
                "1x", kGone, "\n", "c\x1b\xe2\x80\xae\n", "\"\\u202e\"\n"));
}

TEST(WriteOutTest, SaysWhenTheReaderIsGoneOrTheDiskIsFull) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  {
    const StdoutAs broken(ends[1]);
    EXPECT_THROW(write_out("text\n"), BrokenPipe);
  }
  ::close(ends[1]);
  const int full = ::open("/dev/full", O_WRONLY);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  EXPECT_EQ(kind_of([&] {
              const StdoutAs device(full);
              write_json(Json{{"a", 1}});
            }),
            ErrorKind::kResources);
  ::close(full);
}

}  // namespace
}  // namespace selfalign::cli
