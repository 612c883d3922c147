// SPDX-License-Identifier: Apache-2.0
// Runs of the scripted world: to their end, until a stop, until a kill.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/testing.h"
#include "runs_folder.h"
#include "scripted_world.h"
#include "store/store.h"

namespace selfalign::tests {

// Runs `body` in a process of its own; true if that was killed. Else it must
// come to its end.
bool is_killed(const std::function<void()>& body);

// Runs of the scripted world in a folder of their own.
class ScriptedRuns : public RunsFolder {
 public:
  ~ScriptedRuns();

  // Writes a file into the folder and returns its path.
  std::string write(const std::string& name, const std::string& text) const;
  // Puts `text` in place of the first `old` in a file there.
  void replace(const std::string& name, const std::string& old,
               const std::string& text) const;

  // Runs to the end; the run's digest.
  std::string run(const recipe::Recipe& recipe, WorldOptions options = {});
  // Runs until `stop` is true after a commit, as an interrupt would end it, and
  // does `then`, if anything, with the store.
  void run_until(const recipe::Recipe& recipe,
                 const std::function<bool(store::Store&)>& stop,
                 const std::function<void(store::Store&)>& then = {},
                 WorldOptions options = {}) const;
  // Runs in a process that is killed at tick `kill_at` (a commit or a step of a
  // tuning; 0: never) or after `kill_after` completions; true if it was.
  bool run_and_kill(const recipe::Recipe& recipe, int kill_at,
                    int kill_after = 0) const;
  // Read-only.
  std::unique_ptr<store::Reader> open(const std::string& name) const;
  // What the last tuning of the last run() learnt from.
  const std::vector<stages::TrainingSample>& samples() const {
    return samples_;
  }

 private:
  std::vector<stages::TrainingSample> samples_;
};

// For run_until: after `num` commits.
std::function<bool(store::Store&)> after_commits(int num);

class ScriptedRunsTest : public ::testing::Test, public ScriptedRuns {};

}  // namespace selfalign::tests
