// SPDX-License-Identifier: Apache-2.0
// What stages 3 and 4 and the baselines have in common: a LoRA tuning of the
// base model on samples under a short prompt; in stages 3 and 4 they are the
// kept pairs and the self-identification rows. Same trainer, several recipes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "recipe/prompts.h"
#include "stages/run.h"

namespace selfalign::stages {

struct TuningPlan {
  std::string source;   // stage the samples come from: "align.pairs"
  std::string samples;  // stage of the samples: "engrave.samples"
  std::string adapter;  // stage of the result: "engrave.adapter"
  std::string folder;   // of the run: "engraved"
  std::string form;     // what the prompt is called: "engraved", "final"
  const recipe::ChatPrompt& prompt;
  // If not null: every second sample stands under this one.
  const recipe::ChatPrompt* other_prompt = nullptr;
  bool with_identity = true;  // self-identification rows are samples, too
  const TuneOptions& options;
};

// Commits the samples, tunes, commits the adapter's digest and losses. Rows of
// `samples` hold instruction, response and ends; their parent is the pair, or
// none for a self-identification row. "source" is the stage of the pairs,
// "review" where a person wrote or kept the response, or "identity".
void tune_on_pairs(const TuningPlan& plan, const Run& run);

// The same on samples that `make_rows` makes where they are not committed yet.
// A row holds instruction, response and ends, or for several turns "turns": a
// list of such objects, with "learn" false where an answer is only read, and
// "system" where a text of its own stands in place of the prompt.
void tune_on_rows(const TuningPlan& plan, const Run& run,
                  const std::function<std::vector<store::Row>()>& make_rows);

// Of the prompt, for the keys of samples made under it.
std::string prompt_digest(const recipe::ChatPrompt& prompt);

// Digest of what a tuning depends on beside the model: settings and samples in
// order. In the adapter's manifest as "inputs".
std::string tuning_inputs(const TuneOptions& options,
                          const std::vector<TrainingSample>& samples);

// The report of an adapter's manifest. Those of the first version say nothing
// of folder, inputs and files.
struct AdapterReport {
  TuneReport tuning;
  std::string folder;                 // of the run
  std::string result = "adapter";     // TuneOptions::result_folder
  std::optional<std::string> inputs;  // tuning_inputs
  // Names, which are plain, with their digests when the tuning was done.
  std::map<std::string, std::string> files;

  static void describe(auto& visit, auto& self) {
    TuneReport::describe(visit, self.tuning);
    visit.may("folder", self.folder);
    visit.may("result", self.result, self.result != AdapterReport{}.result);
    visit("inputs", self.inputs);
    visit.may("files", self.files);
  }
};
bool is_adapter(const store::Manifest& manifest);
AdapterReport adapter_report(const store::Manifest& manifest);

}  // namespace selfalign::stages
