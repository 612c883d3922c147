// SPDX-License-Identifier: Apache-2.0
#include "base/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using ::testing::HasSubstr;

class ChildProcessTest : public testing::Test {
 protected:
  std::string path(const char* name) const {
    return folder_.path() + "/" + name;
  }
  ChildProcess start(const std::string& command) const {
    return ChildProcess(command, folder_.path(), path("log"), path("lock"));
  }
  // Once what an earlier one left is gone.
  ChildProcess start_after(const std::string& command) const {
    for (int i = 0; i < 2000; ++i) {
      if (message_of([&] { start("true"); }) == "no error") break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return start(command);
  }
  static int end_of(ChildProcess& child) {
    for (int i = 0; i < 2000 && !child.status(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return child.status().value_or(-1);
  }
  bool appears(const char* name) const {
    for (int i = 0; i < 2000 && !is_file(path(name)); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return is_file(path(name));
  }

  const ScratchFolder folder_;
};

TEST_F(ChildProcessTest, WorksInItsFolderAndSaysHowItEnded) {
  ChildProcess good = start("echo here; echo there >&2; pwd; cat; touch made");
  EXPECT_EQ(end_of(good), 0);
  EXPECT_TRUE(is_file(path("made")));
  EXPECT_EQ(read_file(path("log")), "here\nthere\n" + folder_.path() + "\n");
  ChildProcess bad = start("echo more; exit 75");
  EXPECT_EQ(end_of(bad), 75);
  EXPECT_THAT(read_file(path("log")), HasSubstr("here\nthere\n"));
  EXPECT_THAT(read_file(path("log")), HasSubstr("more\n"));
  ChildProcess none = start("no_such_program_here");
  EXPECT_EQ(end_of(none), 127);
  ChildProcess killed = start("kill -9 $$");
  EXPECT_EQ(end_of(killed), 128 + SIGKILL);
}

// What it started in turn, too; and signals that this process ignores do what
// they do there.
TEST_F(ChildProcessTest, IsAskedToEndWithAllItStarted) {
  std::signal(SIGPIPE, SIG_IGN);
  ChildProcess child = start(
      "trap 'touch stopped; exit 3' TERM; "
      "(trap 'touch inner; exit' TERM; touch ready; while :; do sleep 0.01; "
      "done) & while :; do sleep 0.01; done");
  ASSERT_TRUE(appears("ready"));
  EXPECT_FALSE(child.status());
  child.stop();
  EXPECT_EQ(end_of(child), 3);
  EXPECT_TRUE(appears("stopped"));
  EXPECT_TRUE(appears("inner"));
  ChildProcess pipe = start_after("kill -PIPE $$; exit 5");
  EXPECT_EQ(end_of(pipe), 128 + SIGPIPE);
}

// Of what an earlier one left at work, though itself is gone.
TEST_F(ChildProcessTest, TwoDoNotWorkInOneFolder) {
  ChildProcess first =
      start("(touch ready; while [ ! -e go ]; do sleep 0.01; done) & exit 0");
  ASSERT_TRUE(appears("ready"));
  EXPECT_EQ(end_of(first), 0);
  EXPECT_THAT(message_of([&] { start("true"); }),
              HasSubstr("still at work here"));
  write_file_atomic(path("go"), "");
  ChildProcess second = start_after("exit 4");
  EXPECT_EQ(end_of(second), 4);
}

// A command that has servers begin holds the lock, and they do not; what it
// says at its end is what it said.
TEST_F(ChildProcessTest, WhatStaysMayHoldNoLock) {
  const auto start_servers = [this](const std::string& command) {
    return ChildProcess(command, folder_.path(), path("log"), path("lock"),
                        ChildProcess::Holds::kCommand);
  };
  ChildProcess first = start_servers(
      "(touch ready; while [ ! -e go ]; do sleep 0.01; done; touch gone) &\n"
      "while [ ! -e end ]; do sleep 0.01; done; exit 3 # why");
  ASSERT_TRUE(appears("ready"));
  EXPECT_THAT(message_of([&] { start_servers("true"); }),
              HasSubstr("still at work here"));
  write_file_atomic(path("end"), "");
  EXPECT_EQ(end_of(first), 3);
  ChildProcess second = start_servers("exit 4");
  EXPECT_EQ(end_of(second), 4);
  EXPECT_FALSE(is_file(path("gone")));
  write_file_atomic(path("go"), "");
  EXPECT_TRUE(appears("gone"));
}

TEST_F(ChildProcessTest, EndsWithItsObject) {
  {
    ChildProcess child = start("touch ready; sleep 1000");
    ASSERT_TRUE(appears("ready"));
  }
  ChildProcess next = start("exit 6");  // nobody holds the lock
  EXPECT_EQ(end_of(next), 6);
}

}  // namespace
}  // namespace selfalign
