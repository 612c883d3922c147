// What stages 3 and 4 have in common: training samples out of kept pairs and
// self-identification rows under a short prompt, and a LoRA tuning of the base
// model on them. Same trainer, two recipes.
#pragma once

#include <string>
#include <vector>

#include "stages/prompts.h"
#include "stages/run.h"

namespace selfalign::stages {

struct TuningPlan {
  std::string pairs;    // stage the samples come from: "align.pairs"
  std::string samples;  // stage of the samples: "engrave.samples"
  std::string adapter;  // stage of the result: "engrave.adapter"
  std::string folder;   // of the run: "engraved"
  const ChatPrompt& prompt;
  // If not null: every second sample stands under this one.
  const ChatPrompt* other_prompt = nullptr;
  bool with_identity = true;  // self-identification rows are samples, too
  const TuneOptions& options;
};

// Commits the samples, tunes, commits the adapter's digest and losses. Rows of
// `samples` hold instruction, response and ends; their parent is the pair, or
// none for a self-identification row. "source" is the stage of the pairs,
// "review" where a person wrote or kept the response, or "identity".
void tune_on_pairs(const TuningPlan& plan, const Run& run);

}  // namespace selfalign::stages
