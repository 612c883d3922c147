// SPDX-License-Identifier: Apache-2.0
#include "backup/archive_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "backup/restore.h"
#include "backup/testing.h"
#include "base/interrupt.h"
#include "base/testing.h"
#include "store/checks.h"

namespace selfalign::backup {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class ArchiveTargetTest : public BackupFolder {
 protected:
  ArchiveTargetTest() : pipe_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~ArchiveTargetTest() override { std::signal(SIGPIPE, pipe_); }

  BackupReport back_up_to(const std::string& command) const {
    ArchiveTarget target("cd " + scratch_.path() + "; " + command);
    return back_up(path("run"), target);
  }

 private:
  void (*const pipe_)(int);
};

TEST_F(ArchiveTargetTest, IsARunOnceItIsRestored) {
  const auto store = make_run(500);
  // Two files of one content, which is there once.
  write("run/engraved/copy", read_file(path("run/engraved/adapter/weights")));
  const BackupReport report = back_up_to("cat > a.tar");
  EXPECT_EQ(report.num_files, 5);
  EXPECT_EQ(report.num_files_written, 4);
  EXPECT_EQ(report.num_bytes_written,
            static_cast<int64_t>(fs::file_size(path("a.tar"))));
  restore(path("a.tar"), path("restored"));
  const auto restored = store::Reader::open(path("restored"));
  EXPECT_THAT(store::find_problems(*restored), IsEmpty());
  EXPECT_EQ(restored->num_rows("a"), 500);
  EXPECT_EQ(fs::file_size(path("restored/engraved/copy")), 100'000u);
  // tar makes a backup's folder of it.
  ASSERT_EQ(std::system(("mkdir " + path("folder") + " && tar -xf " +
                         path("a.tar") + " -C " + path("folder"))
                            .c_str()),
            0);
  restore(path("folder"), path("again"));
}

TEST_F(ArchiveTargetTest, ACommandThatFailsIsAnErrorWithItsStatus) {
  make_run();
  EXPECT_THAT(refusal_of([&] { back_up_to("cat > a.tar; exit 7"); },
                         ErrorKind::kFailed),
              AllOf(HasSubstr("cat > a.tar"), HasSubstr("with status 7")));
  EXPECT_THAT(refusal_of([&] { back_up_to("exit 3"); }, ErrorKind::kFailed),
              HasSubstr("with status 3"));
  EXPECT_THAT(
      refusal_of([&] { back_up_to("head -c 9 >/dev/null; kill -9 $$"); },
                 ErrorKind::kFailed),
      HasSubstr("with status 137"));
}

// The command would take a half for a whole.
TEST_F(ArchiveTargetTest, AFailureShowsTheCommandNoEndOfItsInput) {
  make_run();
  write("run/engraved/adapter/weights", "other");
  EXPECT_EQ(kind_of([&] { back_up_to("cat > part && mv part whole"); }),
            ErrorKind::kDamaged);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(fs::exists(path("whole")));
}

TEST_F(ArchiveTargetTest, ASignalEndsTheWaitForACommand) {
  make_run();
  std::thread signal([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    set_interrupted(true);
  });
  EXPECT_EQ(kind_of([&] { back_up_to("sleep 1000"); }),
            ErrorKind::kInterrupted);
  signal.join();
  set_interrupted(false);
}

TEST_F(ArchiveTargetTest, ACommandHasNoTerminal) {
  CommandInput("! (: </dev/tty) 2>/dev/null").finish();
}

}  // namespace
}  // namespace selfalign::backup
