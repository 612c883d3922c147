// SPDX-License-Identifier: Apache-2.0
// Nothing lost, nothing twice: a tiny run is killed, or its disk fails, at the
// Nth call that changes or reads a file; then it is gone on with. Whatever N,
// its digest is that of a run nobody disturbed and verify finds no fault.
#include "faults/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;

// The pipeline on the scripted world.
class FaultsTest : public ::testing::TestWithParam<const char*>, public Faults {
 protected:
  // Begins or goes on with the run.
  Ended run_pipeline(const std::optional<Fault>& fault = {}) const {
    return run("exec '" SELFALIGN_FAULT_PROGRAM "' '" + disk("run") + "'",
               fault);
  }
  // Without a fault; the digest as printed.
  std::string run_whole(const std::string& kind) const {
    const Ended whole = run_pipeline(Fault{kind});
    EXPECT_EQ(whole.code, 0) << whole.err;
    fs::remove_all(disk("run"));
    return whole.out;
  }
  void check_run(const std::string& digest) const {
    const Ended ended = run_pipeline();
    ASSERT_EQ(ended.code, 0) << ended.err;
    ASSERT_EQ(ended.out, digest);
    ASSERT_TRUE(is_sound(disk("run")));
    for (const auto& entry : fs::recursive_directory_iterator(disk("run"))) {
      ASSERT_EQ(entry.path().string().find(".tmp-"), std::string::npos)
          << entry.path();
    }
  }
};

TEST_P(FaultsTest, AtEveryCallTheRunComesToTheSameEnd) {
  const std::string kind = GetParam();
  const std::string digest = run_whole(kind);
  const int64_t num_all = num_calls();
  ASSERT_GT(num_all, kind == "read" ? 40 : 200);
  for (const int64_t at : fault_points(num_all)) {
    SCOPED_TRACE(str(kind, " at call ", at, " of ", num_all));
    const Fault fault{kind, at};
    const Ended ended = run_pipeline(fault);
    // A run makes a call more or less than another; the last may not come.
    if (!(ended.code == 0 && at + 4 > num_all && num_calls() < at)) {
      check_end_under(fault, ended);
    }
    check_run(digest);
    if (HasFatalFailure()) return;
    fs::remove_all(disk("run"));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultsTest,
                         testing::Values("kill_before", "kill_after", "eio",
                                         "enospc", "short", "read"),
                         [](const auto& kind) {
                           return std::string(kind.param);
                         });

// The same run is disturbed again and again.
TEST_F(FaultsTest, ManyFaultsInOneRun) {
  const std::string digest = run_whole("eio");
  const char* const kinds[] = {"enospc", "kill_after", "eio", "kill_before"};
  int num_faults = 0;
  while (run_pipeline(Fault{kinds[num_faults % 4], 40 + num_faults}).code !=
         0) {
    ASSERT_LT(++num_faults, 200);
  }
  EXPECT_GT(num_faults, 8);
  check_run(digest);
}

}  // namespace
}  // namespace selfalign::tests
