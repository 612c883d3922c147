// SPDX-License-Identifier: Apache-2.0
// What the pipeline needs of the machine, without knowing about tensors: open
// a model for generation, tune it. The command line joins it to engine and
// trainer; tests use a scripted one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/record.h"
#include "generate/generator.h"
#include "recipe/recipe.h"

namespace selfalign::stages {

// One exchange of a training sample: the loss is on `response` (and on the
// end-of-text token that must follow it when `ends` is true), not on `prompt`;
// on nothing of a turn that is only read before those that follow.
struct TrainingTurn {
  std::string prompt;
  std::string response;
  bool ends = true;
  bool learn = true;

  // For digests. What has no turn that is only read keeps the one it had
  // before there were any.
  uint64_t flags() const { return uint64_t{ends} | uint64_t{!learn} << 1; }
};

// A conversation to learn from. A later prompt begins with the text between two
// turns and follows the response itself: the end-of-text token is what the
// model must write there, not what it reads, exactly as a chat shows it its
// history.
struct TrainingSample {
  uint64_t key = 0;  // of the row it came from
  std::vector<TrainingTurn> turns;
};

struct TuneReport {
  int64_t num_samples = 0;
  int64_t num_tokens = 0;     // response tokens per epoch
  int64_t num_truncated = 0;  // samples cut at max_length (these teach no stop)
  int64_t num_steps = 0;
  double loss_before = 0.0;  // mean response loss over the samples, base
  double loss_after = 0.0;   // the same with the adapter, dropout off
  std::string digest;        // of the adapter's weights; no part of the record
  // The same of the samples held out (validation_share), where some were.
  std::optional<double> validation_before, validation_after;
  std::string trained_by;  // where it was not the own trainer

  static void describe(auto& visit, auto& self) {
    visit("num_samples", self.num_samples);
    visit("num_tokens", self.num_tokens);
    visit("num_truncated", self.num_truncated);
    visit("num_steps", self.num_steps);
    visit("loss_before", self.loss_before);
    visit("loss_after", self.loss_after);
    visit("validation_before", self.validation_before);
    visit("validation_after", self.validation_after);
    visit.may("trained_by", self.trained_by, !self.trained_by.empty());
  }
};

class Workbench {
 public:
  virtual ~Workbench() = default;

  // False where no model is behind it, and what is asked was answered before.
  virtual bool asks_models() const { return true; }

  // The base model; with an adapter folder, or in its place one that was tuned
  // whole (formats::is_tuned_model), when `adapter` is not empty.
  virtual std::unique_ptr<generate::Generator> open_generator(
      const recipe::ModelOptions& model, const std::string& adapter) = 0;

  // For each sample whether something to learn begins within max_length tokens
  // of the base model; tune leaves out the others.
  virtual std::vector<bool> fit(const recipe::ModelOptions& model,
                                const TuneOptions& options,
                                const std::vector<TrainingSample>& samples) = 0;

  // Tunes the base model on `samples` in the given order (shuffled by the seed
  // per epoch) and leaves a PEFT adapter in `folder`/adapter or, by the method
  // full, an HF model in `folder`/model. Checkpoints go to
  // `folder`; with one there it goes on from it, to the same bits. Throws Error
  // kInterrupted on an interrupt, after a checkpoint. `trainer` says who does
  // it.
  virtual TuneReport tune(const recipe::ModelOptions& model,
                          const TuneOptions& options,
                          const recipe::TrainerOptions& trainer,
                          const std::vector<TrainingSample>& samples,
                          const std::string& folder) = 0;
};

}  // namespace selfalign::stages
