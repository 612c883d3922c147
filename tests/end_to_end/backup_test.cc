// SPDX-License-Identifier: Apache-2.0
// Runs that go on from a backup, taken while they were at work, come to the end
// of a run that nobody disturbed.
#include "backup/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "backup/folder_target.h"
#include "backup/restore.h"
#include "replay/verify.h"
#include "replay/whole_run.h"
#include "report/report.h"
#include "scripted_runs.h"
#include "stages/pipeline.h"
#include "store/reader.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;

class BackupRunTest : public ScriptedRunsTest {
 protected:
  backup::BackupReport back_up() const {
    backup::FolderTarget target(path("backup"), path("run"));
    return backup::back_up(path("run"), target);
  }
  // Of the backup, gone on with to its end, sound before and after.
  std::string digest_of_restored() {
    backup::restore(path("backup"), path("restored"));
    EXPECT_THAT(replay::verify_run(path("restored")).problems,
                testing::IsEmpty());
    const std::string digest = run(small_recipe(path("restored")));
    EXPECT_TRUE(is_sound(path("restored")));
    fs::remove_all(path("restored"));
    return digest;
  }
};

TEST_F(BackupRunTest, GoesOnFromAnyCommit) {
  const std::string digest = run(small_recipe(path("whole")));
  int num_commits = 0, num_backups = 0;
  run_until(small_recipe(path("run")), [&](store::Store& store) {
    if (++num_commits % 4 == 1) {
      back_up();
      EXPECT_EQ(digest_of_restored(), digest) << "commit " << num_commits;
      ++num_backups;
    }
    return store.manifest("verbose.answers").has_value();
  });
  EXPECT_GT(num_backups, 4);
  EXPECT_EQ(run(small_recipe(path("run"))), digest);
  report::write_report(path("run"));
  EXPECT_TRUE(back_up().done);
  EXPECT_EQ(digest_of_restored(), digest);
  backup::restore(path("backup"), path("done"));
  EXPECT_TRUE(fs::is_regular_file(path("done/report.html")));
}

// Run and backups are processes of their own; most of the backups are killed.
TEST_F(BackupRunTest, IsWholeThoughTheRunIsAtWorkAndBackupsAreKilled) {
  const std::string digest = run(small_recipe(path("whole")));
  run_until(small_recipe(path("run")), after_commits(3));
  back_up();
  const pid_t worker = fork();
  if (worker == 0) {
    ScriptedWorkbench workbench({});
    const auto store = stages::open_run(small_recipe(path("run")));
    store->set_commit_hook(
        [] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); });
    replay::run_to_end(small_recipe(path("run")), workbench, *store);
    _exit(0);
  }
  bool is_over = false;
  int num_killed = 0, num_whole = 0;
  for (int i = 0; !is_over || num_killed == 0 || num_whole == 0; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      back_up();
      _exit(0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + i * 7 % 60));
    if (i % 4 != 3) kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    num_killed += WIFSIGNALED(status);
    num_whole += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (i % 4 == 0) {
      ASSERT_EQ(digest_of_restored(), digest) << i;
    }
    is_over = is_over || waitpid(worker, nullptr, WNOHANG) == worker;
    ASSERT_LT(i, 1000);
  }
  EXPECT_GT(num_whole, 0);
  EXPECT_TRUE(back_up().done);
  EXPECT_EQ(digest_of_restored(), digest);
}

}  // namespace
}  // namespace selfalign::tests
