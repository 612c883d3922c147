// SPDX-License-Identifier: Apache-2.0
// A training that others do: a folder with all that it takes, for a command of
// the user's (torchrun, accelerate, sbatch) to leave the result in, and what is
// checked before that counts. docs/handoff.md describes the files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/weights.h"
#include "train/metrics.h"
#include "train/sample.h"
#include "train/train_options.h"
#include "train/trainer.h"

namespace selfalign::train {

struct Handoff {
  std::string folder;
  std::string base;  // path of the HF folder, or a hub's name
  std::vector<Sample> learnt, held_back;
  int64_t num_steps = 0;
  // Of what was handed on, whatever a command makes of the files.
  std::string samples_sha256 = {}, steps_sha256 = {};
};

// The share of `num_samples` that a hand-off holds back, so that what comes
// back is measured on something it has not seen: options.validation_share, or
// where that is 0 a fiftieth, at most 16 samples.
double held_back_share(const TrainOptions& options, size_t num_samples);

// Writes `folder`: samples and those held back as tokens, each step's samples
// and learning rate, the adapter that training begins from, and a script that
// does it. Where the same hand-off is there already it is left as it is, with
// what a command has made in it; Error kDamaged where another is there.
Handoff write_handoff(const std::string& folder, const std::string& base,
                      const model::Weights& weights,
                      const std::vector<Sample>& samples,
                      const TrainOptions& options);

// Lines of the command's metrics.jsonl from byte `done` on, which moves behind
// the last whole one; what is no line of metrics is left out.
std::vector<StepMetrics> new_metrics(const Handoff& handoff, uint64_t& done);

// Whether the command has left a result.
bool has_result(const Handoff& handoff);

// Puts an adapter, or a whole model, that was made by hand where a command
// would have left it, unless it lies there; what lay there before goes to
// "adapter.replaced" (or model), with a number behind it where there is one.
// What data it was made of is on the word of who says so. Error kInput where it
// is none; then nothing has changed.
struct Placed {
  bool is_copy = false;
  std::string replaced;  // where what lay there before is; "": nothing did
};
Placed place_result(const Handoff& handoff, const std::string& made,
                    const TrainOptions& options);
// Of one that was refused: the folder is again what it was.
void withdraw_result(const Handoff& handoff, const Placed& placed,
                     const TrainOptions& options);

// Takes the result: the adapter comes to options.folder/adapter, a model goes
// to options.save_model. Before that it is checked: made from these samples
// and steps (result.json), on this base (the loss of what was held back,
// before, agrees), of the modules, ranks and scales that were asked for, with
// finite values, and a lower loss on what was held back. Error kFailed says
// what is not so.
TrainReport adopt_result(const Handoff& handoff, const model::Weights& weights,
                         const TrainOptions& options);

}  // namespace selfalign::train
