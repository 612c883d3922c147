// SPDX-License-Identifier: Apache-2.0
#include "stages/contamination.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/run_folder.h"
#include "cli/setting_flags.h"
#include "recipe/prompts.h"
#include "recipe/run_files.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(What a run has generated that stands in an evaluation set:
  selfalign contamination runs/smollm2-demo --set TruthfulQA.csv
  selfalign contamination runs/smollm2-demo --set hhh/*/task.json \
      --set mt_bench/question.jsonl --json | jq .stages

Checks instructions, questions and answers of all stages, kept and rejected,
also while the run goes on, against the sets and the held-out instructions of
the run: as many words in a row as --ngram-words in one of their texts, or a
ROUGE-L above --max-rouge-l with one of their questions. Without --set the sets
of the run's recipe (contamination.sets) are used. Forms that are read: CSV of
TruthfulQA, task.json of HHH and BIG-bench, JSON lines of MT-bench and Vicuna,
and their like; see docs/formats.md.)";

struct Flags {
  std::string run;
  recipe::ContaminationOptions options;
  size_t num_examples = 3;
};

void print_contamination(Flags flags, const Shell& shell) {
  const std::unique_ptr<store::Reader> store = store::Reader::open(flags.run);
  const bool are_given = !flags.options.sets.empty();
  if (!are_given) {
    flags.options.sets = recipe_of_run(flags.run).contamination.sets;
  }
  const recipe::Prompts prompts = recipe::run_prompts(flags.run);
  const stages::ContaminationGuard guard(flags.options, prompts.held_out,
                                         are_given);
  const auto report = stages::contamination_report(*store, guard, flags.options,
                                                   flags.num_examples);
  write_result(shell.json, to_json(report), stages::contamination_text(report));
}

}  // namespace

void add_contamination(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "contamination", "Which generated rows stand in evaluation sets");
  auto flags = std::make_shared<Flags>();
  command->add_option("run", flags->run, "run folder")->required();
  command->add_option("--set", flags->options.sets,
                      "file of a set, or several");
  FlagMaker flag(*command);
  recipe::ContaminationOptions::describe_limits(flag, flags->options);
  command->add_option("--examples", flags->num_examples, "rows shown a stage")
      ->capture_default_str();
  command->footer(kFooter);
  set_action(*command, shell,
             [flags, &shell] { print_contamination(*flags, shell); });
}

}  // namespace selfalign::cli
