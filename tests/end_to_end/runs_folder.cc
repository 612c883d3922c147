// SPDX-License-Identifier: Apache-2.0
#include "runs_folder.h"

#include <unistd.h>

#include "base/log.h"
#include "base/progress.h"
#include "replay/verify.h"

namespace selfalign::tests {
namespace {

// Processes are killed here, not machines: fsync has nothing to wait for on a
// file system in memory, where there is one.
std::string place_of_runs() {
  constexpr char kMemory[] = "/dev/shm";
  return access(kMemory, W_OK) == 0 ? kMemory : testing::TempDir();
}

}  // namespace

RunsFolder::RunsFolder() : root_(place_of_runs()) {
  set_log_level(LogLevel::kError);
  set_progress_shown(false);
}

RunsFolder::~RunsFolder() {
  set_log_level(LogLevel::kInfo);
  set_progress_shown(true);
}

testing::AssertionResult is_sound(const std::string& run_folder) {
  const replay::Verification found = replay::verify_run(run_folder);
  if (found.problems.empty() && found.replay_end.empty()) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure()
         << replay::verification_text(found) << found.replay_end;
}

}  // namespace selfalign::tests
