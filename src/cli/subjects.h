// SPDX-License-Identifier: Apache-2.0
// Whom an evaluation asks: the models of a run, and models and adapters named
// on the command line; and in which form each is asked.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/model_flags.h"
#include "eval/evaluation.h"
#include "eval/results.h"
#include "eval/tasks.h"
#include "local/workbench.h"
#include "recipe/prompts.h"
#include "stages/served.h"

namespace selfalign::cli {

struct SubjectFlags {
  std::string run;                    // run folder, may be empty
  std::vector<std::string> models;    // paths or addresses
  std::vector<std::string> adapters;  // FOLDER or NAME=FOLDER
  std::vector<std::string> answers;   // published: FILE or NAME=FILE
  std::vector<std::string> subjects;  // names to ask; empty: all
  std::string form = "auto";          // of models named on the command line
  std::string prompts;                // folder, "" finds it
  eval::DecodingOptions decoding;     // also of the tasks
  bool allow_command = false;         // the run's serve.reload
  ModelFlags compute;
  const CLI::App* app = nullptr;  // whose options they are

  // The run (a positional argument) and all options.
  void add(CLI::App& command);
};

// A subject whose model is not loaded yet.
struct PlannedSubject {
  eval::Subject subject;   // without generator
  eval::SubjectInfo info;  // without fingerprint
  recipe::ModelOptions model;
  std::string adapter;
};

// Of a run: base, base under the short prompt of stage 3 and under stage 2's
// ("short", "prompted"), and each adapter it has (engraved, verbose, tuned);
// then one for every --model, every --adapter and all --answers, which have no
// model. Without a run the first model is "base". All of them are decoded
// alike, as the run compares, unless each is to be under its stage's. Error
// kUsage names subjects that are not there or there twice, names as of
// eval::require_name, and options that would have no effect.
std::vector<PlannedSubject> plan_subjects(const SubjectFlags& flags);

// Opens one subject's model at a time and keeps it for the next subject of the
// same model.
class OpenModel {
 public:
  // `run`: a run's folder, whose recipe says how its servers are asked, or "".
  // `allow_command`: its serve.reload may be run.
  explicit OpenModel(const std::string& run = "", bool allow_command = false);
  // Error if a subject's model or adapter cannot be opened, or needs a command
  // that may not be run; quick.
  void check(const std::vector<PlannedSubject>& subjects);
  // Fills in subject.generator and info.fingerprint; nothing of answers that
  // are published. True if the model is another one than the last.
  bool open(PlannedSubject& planned);

 private:
  bool is_of_run(const recipe::ModelOptions& model) const;
  std::unique_ptr<generate::Generator> open_generator(
      const PlannedSubject& planned);

  std::optional<recipe::Recipe> recipe_;
  std::unique_ptr<store::Reader> store_;
  bool allow_command_;
  local::LocalWorkbench workbench_;
  std::optional<stages::ServedModels> served_;
  std::string name_;
  std::unique_ptr<generate::Generator> generator_;
};

}  // namespace selfalign::cli
