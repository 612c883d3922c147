// SPDX-License-Identifier: Apache-2.0
// A world for the pipeline without a model: a generator that writes what a
// base model would write under each stage's prompt, good and bad, and a
// workbench whose "adapters" are digests of the samples.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "recipe/recipe.h"
#include "stages/workbench.h"

namespace selfalign::tests {

// Ends the process with SIGKILL at the n-th tick; 0 never does.
struct KillSwitch {
  int ticks_left = 0;
  void tick();
};

struct WorldOptions {
  int num_slots = 4;
  std::string base = "scripted base";  // fingerprint
  int num_topics = 0;                  // that the world knows; 0: hundreds
  bool strays = false;      // half of the long answers are of something else
  bool repeats = false;     // half of the answers say eight words again
  bool answers_on = false;  // an answer is followed by an endless one
  // Is shown what the models are asked.
  std::function<void(const generate::Request&)> on_request{};
  KillSwitch* kill = nullptr;      // ticks inside tune
  int kill_after = 0;              // completions of one generator
  int* num_score_calls = nullptr;  // of ScriptedOptions
};

class ScriptedWorkbench final : public stages::Workbench {
 public:
  explicit ScriptedWorkbench(WorldOptions options)
      : options_(std::move(options)) {}

  std::unique_ptr<generate::Generator> open_generator(
      const recipe::ModelOptions& model, const std::string& adapter) override;
  // By words in place of tokens.
  std::vector<bool> fit(
      const recipe::ModelOptions& model, const TuneOptions& options,
      const std::vector<stages::TrainingSample>& samples) override;
  stages::TuneReport tune(const recipe::ModelOptions& model,
                          const TuneOptions& options,
                          const recipe::TrainerOptions& trainer,
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
recipe::Recipe small_recipe(const std::string& run_folder);

}  // namespace selfalign::tests
