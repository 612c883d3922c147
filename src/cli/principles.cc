// SPDX-License-Identifier: Apache-2.0
#include "stages/principles.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/judge_model.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/unused_options.h"
#include "eval/results.h"
#include "judge/adherence.h"
#include "recipe/run_files.h"
#include "report/report.h"
#include "store/reader.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] =
    R"(Which principles the internal thoughts named, and where:
  selfalign principles runs/smollm2-demo
  selfalign principles runs/smollm2-demo --csv >principles.csv
  selfalign principles runs/smollm2-demo --json | jq .never

First a line per rule: rows kept and rejected whose thought names it, its share
of all kept rows, of Self-Instruct's and of red-teaming's. Then the matrix of
types of question and rules. Mentions are counted by form: whole (3 (helpful)),
number_only, name_only, misspelt, wrong_number (the name counts), unknown.

Were they kept, too? A judge is shown rule, request and answer:
  selfalign principles runs/smollm2-demo --judge MODEL --per-rule 25
and, as a test of the judge, the same with the answers of other rows. Shares by
rule go to RUN/evaluation, like other judgements, and into its report.)";

struct Flags {
  std::string folder;
  bool csv = false;
  JudgeFlags judge;
  int64_t per_rule = 25;
  uint64_t seed = 0;
};

std::unique_ptr<store::Reader> open_store(const std::string& folder) {
  return store::Reader::open(folder);
}

void print_principles(const Flags& flags, const Shell& shell) {
  const auto store = open_store(flags.folder);
  const stages::PrincipleUse use =
      stages::principle_use(*store, recipe::run_prompts(flags.folder));
  if (shell.json) {
    write_json(to_json(stages::principle_report(use)));
  } else {
    flags.csv ? write_data(stages::principles_csv(use))
              : write_out(stages::principles_text(use));
  }
}

// Error kFailed names the tests of the evaluator that failed.
void require_passed(const eval::TaskResult& result) {
  for (const eval::SelfTest& test : result.self_tests) {
    if (test.passed) continue;
    throw Error(
        ErrorKind::kFailed,
        str("a self-test failed, so the figures cannot be trusted: ", test.name,
            ": expected ", test.expected, ", found ", test.found));
  }
}

// Were the rules kept that fired?
void judge_principles(const Flags& flags, const Shell& shell) {
  const auto store = open_store(flags.folder);
  const recipe::Prompts prompts = recipe::run_prompts(flags.folder);
  const std::vector<judge::FiredRule> fired =
      judge::fired_rules(*store, flags.per_rule, flags.seed);
  if (fired.empty()) {
    throw Error(ErrorKind::kInput,
                flags.folder +
                    ": expected kept answers whose thoughts name rules, found "
                    "none; run stage 2 first");
  }
  const std::string folder = flags.folder + "/evaluation";
  OpenJudge open(flags.judge, folder);
  eval::ResultsWriter writer(folder);
  eval::Results fresh;
  fresh.results = {
      judge::judge_adherence(open.judge(), prompts, fired, flags.seed)};
  writer.merge(fresh);
  const eval::TaskResult& result = fresh.results[0];
  warn_of_failures("adherence", result.num_failures, int64_t(fired.size()));
  if (open.is_remote()) {
    eval::Results usage;
    usage.usage = {eval::usage_of(folder, writer.results(), open.asked())};
    writer.merge(usage);
  }
  write_result(
      shell.json, to_json(result),
      judge::adherence_text(result) + eval::costs_text(writer.results().usage));
  report::update_report(folder);
  require_passed(result);
}

}  // namespace

void add_principles(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "principles", "Which principles fired, by type of question");
  auto flags = std::make_shared<Flags>();
  command->add_option("run", flags->folder, "run folder")->required();
  command->add_flag("--csv", flags->csv, "the matrix as CSV, a line per cell");
  command->add_option("--judge", flags->judge.judge,
                      "ask this model whether the rules that fired were kept: "
                      "HF folder, GGUF file or http://HOST:PORT/v1#NAME");
  command
      ->add_option("--per-rule", flags->per_rule,
                   "answers of each rule that the judge sees, drawn by --seed; "
                   "0 takes all")
      ->check(in_range(ranges::kNumDrawn))
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "of the answers drawn")
      ->capture_default_str();
  flags->judge.add(*command);
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell, command] {
    if (flags->judge.judge.empty()) {
      refuse_given(*command, {"--name", "--per-rule", "--seed"},
                   "without --judge");
      refuse_given(*command, JudgeFlags::of_models(), "without --judge");
      print_principles(*flags, shell);
    } else {
      refuse_given(*command, {"--csv"}, "with --judge");
      flags->judge.model.check_use(*command, {flags->judge.judge});
      judge_principles(*flags, shell);
    }
  });
}

}  // namespace selfalign::cli
