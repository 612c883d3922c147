// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log_line.h"
#include "base/progress.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

TEST(Log, WritesLinesFromItsLevelOn) {
  CaptureStderr();
  log_info("plain");
  set_log_level(LogLevel::kWarning);
  log_info("dropped");
  log_error("bad");
  set_log_level(LogLevel::kInfo);
  EXPECT_EQ(GetCapturedStderr(), "plain\nerror: bad\n");
}

TEST(Log, WhatComesFromElsewhereIsMadeSafe) {
  CaptureStderr();
  log_info("a\x1b]0;x\x07");
  log_error(
      "\xc2\x9b"
      "31m\xe2\x80\xae");
  log_event("\x1b", "{}");
  set_log_json(true);
  log_warning("\xc2\x9b");
  log_event("", R"({"a":")"
                "\xe2\x80\xae\"}");
  set_log_json(false);
  const std::string lines = GetCapturedStderr();
  for (const char* unsafe : {"\x1b", "\x07", "\xc2\x9b", "\xe2\x80\xae"}) {
    EXPECT_EQ(lines.find(unsafe), std::string::npos);
  }
  EXPECT_THAT(lines, HasSubstr("a\xef\xbf\xbd]0;x\xef\xbf\xbd\n"));
  EXPECT_THAT(lines, HasSubstr(R"("text":"\u009b")"));
  EXPECT_THAT(lines, HasSubstr(R"({"a":"\u202e"})"));
}

TEST(Log, WritesJsonWhenAsked) {
  CaptureStderr();
  set_log_json(true);
  log_warning("a \"b\"");
  log_event("text", R"({"event":"mine"})");
  set_log_json(false);
  const std::string lines = GetCapturedStderr();
  const size_t end = lines.find('\n');
  const Json first = parse_json(lines.substr(0, end), "log");
  EXPECT_EQ(json_string(first, "text", "log"), "a \"b\"");
  EXPECT_EQ(json_string(first, "level", "log"), "warning");
  EXPECT_GT(json_number(first, "time_s", "log"), 1e9);
  EXPECT_EQ(lines.substr(end + 1), "{\"event\":\"mine\"}\n");
}

// stderr is a terminal of 20 columns while it lives.
class NarrowTerminal {
 public:
  NarrowTerminal() : old_(::dup(STDERR_FILENO)) {
    winsize size{24, 20, 0, 0};
    int terminal = -1;
    EXPECT_EQ(::openpty(&master_, &terminal, nullptr, nullptr, &size), 0);
    ::dup2(terminal, STDERR_FILENO);
    ::close(terminal);
  }
  ~NarrowTerminal() {
    ::dup2(old_, STDERR_FILENO);
    ::close(old_);
    ::close(master_);
  }
  std::string shown() const {
    std::string bytes(4096, '\0');
    const ssize_t n = ::read(master_, bytes.data(), bytes.size());
    bytes.resize(n > 0 ? size_t(n) : 0);
    return bytes;
  }

 private:
  const int old_;
  int master_ = -1;
};

TEST(Log, ATransientLineIsCutAndWrittenOver) {
  const NarrowTerminal terminal;
  log_transient("align: 3/1000 rows, 12/s");
  EXPECT_EQ(terminal.shown(), "\ralign: 3/1000 rows,");
  // Wide characters take two columns.
  log_transient(
      "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87"
      "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87"
      "\xe4\xb8\xad\xe6\x96\x87");
  EXPECT_EQ(terminal.shown(),
            "\r\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87"
            "\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87"
            "\xe4\xb8\xad \b");
  log_transient("short");
  EXPECT_EQ(terminal.shown(),
            "\rshort" + std::string(13, ' ') + std::string(13, '\b'));
  log_info("a message");
  EXPECT_EQ(terminal.shown(), "\r     \ra message\r\n");
  log_info("another");
  EXPECT_EQ(terminal.shown(), "another\r\n");
}

TEST(Progress, EndsWithOneLine) {
  CaptureStderr();
  {
    Progress progress("align", 10, "rows");
    progress.set_start(4);
    progress.update(10, "2 rejected");
  }
  const std::string line = GetCapturedStderr();
  EXPECT_THAT(line, HasSubstr("align: 10/10 rows, "));
  EXPECT_THAT(line, HasSubstr("; 2 rejected\n"));
  // With the seconds that the first part took, the rate is over all of it.
  CaptureStderr();
  set_log_json(true);
  {
    Progress progress("align", 10, "rows");
    progress.set_start(4, 100.0);
    progress.update(6);
  }
  set_log_json(false);
  const Json event = parse_json(GetCapturedStderr(), "log");
  EXPECT_NEAR(json_number(event, "per_s", "log"), 0.06, 0.001);
  EXPECT_NEAR(json_number(event, "passed_s", "log"), 100.0, 1.0);
  EXPECT_NEAR(json_number(event, "eta_s", "log"), 4 / 0.06, 2.0);
  CaptureStderr();
  { Progress untouched("align", 10, "rows"); }
  EXPECT_EQ(GetCapturedStderr(), "");
}

}  // namespace
}  // namespace selfalign
