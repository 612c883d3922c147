// SPDX-License-Identifier: Apache-2.0
// A world for runs of any size without a model: a generator that writes what a
// base model would write under each stage's prompt, some of it bad, and a
// workbench whose tunings write a tiny adapter and the metrics of their steps.
// What is written is a function of the request's key: words by Zipf's law,
// openings that many texts share, one text in five a near-copy of one that
// others are near-copies of, too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "recipe/recipe.h"
#include "stages/workbench.h"

namespace selfalign {

class SimulatedWorkbench final : public stages::Workbench {
 public:
  // Topics that the model knows of each type of question.
  explicit SimulatedWorkbench(int64_t num_topics) : num_topics_(num_topics) {}

  std::unique_ptr<generate::Generator> open_generator(
      const recipe::ModelOptions& model, const std::string& adapter) override;
  std::vector<bool> fit(
      const recipe::ModelOptions& model, const TuneOptions& options,
      const std::vector<stages::TrainingSample>& samples) override;
  stages::TuneReport tune(const recipe::ModelOptions& model,
                          const TuneOptions& options,
                          const recipe::TrainerOptions& trainer,
                          const std::vector<stages::TrainingSample>& samples,
                          const std::string& folder) override;

  int64_t num_written() const { return num_written_; }  // completions

 private:
  const int64_t num_topics_;
  int64_t num_written_ = 0;
};

}  // namespace selfalign
