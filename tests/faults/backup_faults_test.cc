// SPDX-License-Identifier: Apache-2.0
// A backup, or the restoring of one, is killed or its disk fails at the Nth
// call. Whatever N, the last backup or the new one is there, whole, and the
// next command ends as if nothing had happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "backup/restore.h"
#include "base/error.h"
#include "faults/faults.h"
#include "store/reader.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;

class BackupFaultsTest : public ::testing::TestWithParam<const char*>,
                         public Faults {
 protected:
  Ended run_program(const std::string& arguments,
                    const std::optional<Fault>& fault = {}) const {
    return run("exec '" SELFALIGN_FAULT_PROGRAM "' " + arguments, fault);
  }
  std::string make(const std::string& arguments) const {
    const Ended ended = run_program(arguments);
    EXPECT_EQ(ended.code, 0) << ended.err;
    return ended.out;
  }
  static std::string digest_of(const std::string& run) {
    return store::Reader::open(run)->run_digest();
  }
  // What the backup in the folder restores to, which restore checks.
  std::string restored() const {
    backup::restore(disk("backup"), path("restored"));
    const std::string digest = digest_of(path("restored"));
    fs::remove_all(path("restored"));
    return digest;
  }
  void put_back() const {
    fs::remove_all(disk("backup"));
    fs::copy(path("first"), disk("backup"), fs::copy_options::recursive);
  }
  // A backup in the middle of a run, which is then brought to its end.
  void begin() {
    run_program("'" + disk("run") + "'", Fault{"kill_before", 260});
    make(back_up_);
    old_ = restored();
    fs::rename(disk("backup"), path("first"));
    make("'" + disk("run") + "'");
    new_ = digest_of(disk("run"));
    ASSERT_NE(old_, new_);
  }

  const std::string back_up_ =
      "backup '" + disk("run") + "' '" + disk("backup") + "'";
  std::string old_, new_;  // digests
};

TEST_P(BackupFaultsTest, AtEveryCallThereIsABackup) {
  const std::string kind = GetParam();
  begin();
  put_back();
  ASSERT_EQ(run_program(back_up_, Fault{kind}).code, 0);
  const int64_t num_all = num_calls();
  ASSERT_GT(num_all, 40);
  bool was_old = false;
  for (const int64_t at : fault_points(num_all)) {
    SCOPED_TRACE(str(kind, " at call ", at, " of ", num_all));
    put_back();
    const Fault fault{kind, at};
    const Ended ended = run_program(back_up_, fault);
    check_end_under(fault, ended);
    const std::string digest = restored();
    was_old = was_old || digest == old_;
    ASSERT_TRUE(digest == new_ || (digest == old_ && ended.code != 0));
    make(back_up_);
    ASSERT_EQ(restored(), new_);
    ASSERT_EQ(std::distance(fs::directory_iterator(disk("backup")), {}), 4);
    if (HasFatalFailure()) return;
  }
  EXPECT_TRUE(was_old || kind == "short");
  backup::restore(disk("backup"), path("restored"));
  EXPECT_TRUE(is_sound(path("restored")));
}

TEST_P(BackupFaultsTest, AtEveryCallThereIsARunOrNone) {
  const std::string kind = GetParam();
  begin();
  make(back_up_);
  const std::string line =
      "restore '" + disk("backup") + "' '" + disk("again") + "'";
  ASSERT_EQ(run_program(line, Fault{kind}).code, 0);
  for (const int64_t at : fault_points(num_calls())) {
    SCOPED_TRACE(str(kind, " at call ", at));
    fs::remove_all(disk("again"));
    const Fault fault{kind, at};
    const Ended ended = run_program(line, fault);
    check_end_under(fault, ended);
    ASSERT_TRUE(ended.code != 0 || fs::exists(disk("again")));
    if (!fs::exists(disk("again"))) make(line);
    ASSERT_EQ(digest_of(disk("again")), new_);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BackupFaultsTest,
                         testing::Values("kill_before", "kill_after", "eio",
                                         "enospc", "short", "read"),
                         [](const auto& kind) {
                           return std::string(kind.param);
                         });

}  // namespace
}  // namespace selfalign::tests
