// SPDX-License-Identifier: Apache-2.0
#include "base/interrupt.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace selfalign {
namespace {

TEST(Interrupt, TheFirstSignalAsksToStop) {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGQUIT, SIGHUP}) {
    EXPECT_EXIT(
        {
          install_interrupt_handlers();
          if (interrupted()) std::exit(1);
          std::raise(signal);
          std::exit(interrupted() ? 7 : 2);
        },
        testing::ExitedWithCode(7), "");
  }
}

TEST(Interrupt, ARunUnderNohupOutlivesItsTerminal) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);
        install_interrupt_handlers();
        std::raise(SIGHUP);
        std::exit(interrupted() ? 1 : 7);
      },
      testing::ExitedWithCode(7), "");
}

TEST(Interrupt, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        install_interrupt_handlers();
        std::raise(SIGINT);
        std::raise(SIGTERM);
        std::exit(1);
      },
      testing::ExitedWithCode(75), "");
}

TEST(Interrupt, TheFirstSignalCanBeToldAndTheSecondEndsTheProcess) {
  EXPECT_EXIT(
      {
        int ends[2];
        if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) std::exit(1);
        tell_first_signal(ends[1]);
        char byte = 1;
        if (::read(ends[0], &byte, 1) == 1) std::exit(2);
        std::raise(SIGTERM);
        if (::read(ends[0], &byte, 1) != 1 || interrupted()) std::exit(3);
        std::raise(SIGTERM);
        std::exit(4);
      },
      testing::ExitedWithCode(75), "");
}

// As when a server's models are loaded and it is about to wait for requests.
TEST(Interrupt, AFirstSignalThatHasComeIsToldAndTheNextEndsTheProcess) {
  EXPECT_EXIT(
      {
        install_interrupt_handlers();
        std::raise(SIGTERM);
        int ends[2];
        if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) std::exit(1);
        tell_first_signal(ends[1]);
        char byte = 1;
        if (::read(ends[0], &byte, 1) != 1 || interrupted()) std::exit(3);
        std::raise(SIGTERM);
        std::exit(4);
      },
      testing::ExitedWithCode(75), "");
}

// ulimit -f: the write says it, and is told like a full disk.
TEST(Interrupt, AFileOverTheLimitIsAnErrorOfTheWrite) {
  const std::string path = testing::TempDir() + "selfalign_over_the_limit";
  EXPECT_EXIT(
      {
        install_interrupt_handlers();
        rlimit limit{};
        limit.rlim_cur = limit.rlim_max = 1000;
        if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) std::exit(1);
        try {
          write_file_atomic(path, std::string(5000, 'x'));
        } catch (const Error& error) {
          std::fputs(error.what(), stderr);
          std::exit(static_cast<int>(error.kind()));
        }
      },
      testing::ExitedWithCode(4), "cannot write .*over_the_limit.*free");
}

TEST(Interrupt, StopsWithTheHint) {
  stop_if_interrupted("not thrown");
  set_interrupted(true);
  EXPECT_THAT(refusal_of([&] { stop_if_interrupted("run it again"); },
                         ErrorKind::kInterrupted),
              testing::HasSubstr("run it again"));
  set_interrupted(false);
  stop_if_interrupted("not thrown");
}

}  // namespace
}  // namespace selfalign
