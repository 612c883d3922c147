// Nothing lost, nothing twice: a tiny run is killed, or its disk fails, at the
// Nth call that changes a file; then it is gone on with. Whatever N, its digest
// is that of a run nobody disturbed and verify finds no fault. Some N by
// default; all with SELFALIGN_FULL_TESTS=1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "end_to_end/runs_folder.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  int signal = 0;
  std::string out;
  std::string err;
};

class FaultsTest : public ::testing::TestWithParam<const char*>,
                   public RunsFolder {
 protected:
  // Begins or goes on with the run `name`; at = -1: without the shim.
  Outcome run(const std::string& name, const std::string& kind = "",
              int64_t at = -1) const {
    std::string line;
    if (at >= 0) {
      line = str("FAULT_FOLDER='", path(name), "' FAULT_KIND='", kind,
                 "' FAULT_AT=", at, " FAULT_REPORT='", path("count"),
                 "' LD_PRELOAD='" SELFALIGN_FAULT_SHIM "' ");
    }
    line += str("exec '" SELFALIGN_FAULT_PROGRAM "' '", path(name), "' >'",
                path("out"), "' 2>'", path("err"), "'");
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    Outcome outcome;
    if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    outcome.out = read_file(path("out"));
    outcome.err = read_file(path("err"));
    return outcome;
  }

  // Without a fault: the number of calls, and the digest as printed.
  int64_t count_calls(std::string& digest) {
    const Outcome whole = run("whole", "eio", 0);
    EXPECT_EQ(whole.code, 0) << whole.err;
    digest = whole.out;
    return std::stoll(read_file(path("count")));
  }

  void check_end(const std::string& name, const std::string& digest) const {
    const Outcome outcome = run(name);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    ASSERT_EQ(outcome.out, digest);
    ASSERT_TRUE(is_sound(path(name)));
    for (const auto& entry : fs::recursive_directory_iterator(path(name))) {
      ASSERT_EQ(entry.path().string().find(".tmp-"), std::string::npos)
          << entry.path();
    }
  }
};

std::set<int64_t> points(int64_t num_calls) {
  const char* full = std::getenv("SELFALIGN_FULL_TESTS");
  const int64_t num_points = full != nullptr && *full == '1' ? num_calls : 7;
  std::set<int64_t> chosen;
  for (int64_t i = 0; i < num_points; ++i) {
    chosen.insert(1 +
                  i * (num_calls - 1) / std::max<int64_t>(1, num_points - 1));
  }
  return chosen;
}

TEST_P(FaultsTest, AtEveryCallTheRunComesToTheSameEnd) {
  const std::string kind = GetParam();
  std::string digest;
  const int64_t num_calls = count_calls(digest);
  ASSERT_GT(num_calls, 200);
  for (const int64_t at : points(num_calls)) {
    SCOPED_TRACE(str(kind, " at call ", at, " of ", num_calls));
    const Outcome outcome = run("run", kind, at);
    if (kind.starts_with("kill")) {
      ASSERT_EQ(outcome.signal, SIGKILL) << outcome.code << outcome.err;
    } else {
      ASSERT_EQ(outcome.signal, 0) << outcome.err;
    }
    if (kind == "short") {
      ASSERT_EQ(outcome.code, 0) << outcome.err;
    } else if (outcome.code > 0) {
      // 4: no disk. A person is told where, what and what to do.
      ASSERT_EQ(outcome.code, 4) << outcome.err;
      ASSERT_THAT(outcome.err, testing::HasSubstr("expected"));
    }
    check_end("run", digest);
    if (HasFatalFailure()) return;
    fs::remove_all(path("run"));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultsTest,
                         testing::Values("kill_before", "kill_after", "eio",
                                         "enospc", "short"),
                         [](const auto& kind) {
                           return std::string(kind.param);
                         });

// The same run is disturbed again and again.
TEST_F(FaultsTest, ManyFaultsInOneRun) {
  std::string digest;
  count_calls(digest);
  const char* const kinds[] = {"enospc", "kill_after", "eio", "kill_before"};
  int num_faults = 0;
  while (run("run", kinds[num_faults % 4], 40 + num_faults).code != 0) {
    ASSERT_LT(++num_faults, 200);
  }
  EXPECT_GT(num_faults, 8);
  check_end("run", digest);
}

}  // namespace
}  // namespace selfalign::tests
