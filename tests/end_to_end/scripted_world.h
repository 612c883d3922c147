// A world for the pipeline without a model: a generator that writes what a
// base model would write under each stage's prompt, good and bad, and a
// workbench whose "adapters" are digests of the samples.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing.h"
#include "generate/generator.h"
#include "stages/recipe.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::tests {

// Ends the process with SIGKILL at the n-th tick; 0 never does.
struct KillSwitch {
  int ticks_left = 0;
  void tick();
};

struct WorldOptions {
  int num_slots = 4;
  std::string base = "scripted base";  // fingerprint
  KillSwitch* kill = nullptr;          // ticks inside tune
  int kill_after = 0;                  // completions of one generator
};

class ScriptedWorkbench final : public stages::Workbench {
 public:
  explicit ScriptedWorkbench(WorldOptions options)
      : options_(std::move(options)) {}

  std::unique_ptr<generate::Generator> open_generator(
      const stages::ModelOptions& model, const std::string& adapter) override;
  stages::TuneReport tune(const stages::ModelOptions& model,
                          const stages::TuneOptions& options,
                          const std::vector<stages::TrainingSample>& samples,
                          const std::string& folder) override;

  int num_opened() const { return num_opened_; }
  int num_written() const { return num_written_; }  // completions
  int num_tuned() const { return num_tuned_; }
  // Of the last tune.
  const std::vector<stages::TrainingSample>& samples() const {
    return samples_;
  }

 private:
  WorldOptions options_;
  int num_opened_ = 0;
  int num_written_ = 0;
  int num_tuned_ = 0;
  std::vector<stages::TrainingSample> samples_;
};

// A small recipe on the project's own prompts; tests run in the repository.
stages::Recipe small_recipe(const std::string& run_folder);

// Runs `body` in a process of its own; true if that was killed. Else it must
// come to its end.
bool is_killed(const std::function<void()>& body);

// Runs in a folder that goes away with the object. Until then only errors are
// logged, and no progress is shown.
class ScriptedRuns {
 public:
  ScriptedRuns();
  ~ScriptedRuns();

  const std::string& folder() const { return root_.path(); }
  std::string path(const std::string& name) const {
    return folder() + "/" + name;
  }
  // Writes a file into the folder and returns its path.
  std::string write(const std::string& name, const std::string& text) const;
  // Puts `text` in place of the first `old` in a file there.
  void replace(const std::string& name, const std::string& old,
               const std::string& text) const;

  // Runs to the end; the run's digest.
  std::string run(const stages::Recipe& recipe, WorldOptions options = {});
  // Runs until `stop` is true after a commit, as an interrupt would end it, and
  // does `then`, if anything, with the store.
  void run_until(const stages::Recipe& recipe,
                 const std::function<bool(store::Store&)>& stop,
                 const std::function<void(store::Store&)>& then = {}) const;
  // Runs in a process that is killed at tick `kill_at` (a commit or a step of a
  // tuning; 0: never) or after `kill_after` completions; true if it was.
  bool run_and_kill(const stages::Recipe& recipe, int kill_at,
                    int kill_after = 0) const;
  // Read-only.
  std::unique_ptr<store::Store> open(const std::string& name) const;
  // What the last tuning of the last run() learnt from.
  const std::vector<stages::TrainingSample>& samples() const {
    return samples_;
  }

 private:
  ScratchFolder root_;
  std::vector<stages::TrainingSample> samples_;
};

// For run_until: after `num` commits.
std::function<bool(store::Store&)> after_commits(int num);

class ScriptedRunsTest : public ::testing::Test, public ScriptedRuns {};

}  // namespace selfalign::tests
