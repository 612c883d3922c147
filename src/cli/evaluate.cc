// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/joined.h"
#include "base/log.h"
#include "base/own_file.h"
#include "cli/commands.h"
#include "cli/evaluation_prompts.h"
#include "cli/lines.h"
#include "cli/options.h"
#include "cli/subjects.h"
#include "eval/costs.h"
#include "eval/items.h"
#include "eval/published_answers.h"
#include "eval/results.h"
#include "eval/task_table.h"
#include "eval/tasks.h"
#include "generate/remote.h"
#include "report/differences.h"
#include "report/report.h"
#include "report/table.h"
#include "stages/start_checks.h"

namespace selfalign::cli {
namespace {

constexpr char kFooter[] = R"(How good are the models of a run?
  selfalign evaluate runs/smollm2-demo --data DATA
  selfalign evaluate runs/smollm2-demo --data DATA --tasks truthfulqa,hhh \
      --limit 50                             a quick look: 50 items of each
  selfalign evaluate --model MODEL --adapter mine=ADAPTER --data DATA
  selfalign evaluate runs/smollm2-demo --data DATA \
      --model http://localhost:8000/v1#NAME  a served model beside the run's
  selfalign evaluate runs/smollm2-demo --data DATA --tasks vicuna \
      --answers chatgpt=gpt-3.5.jsonl        published answers beside them
  selfalign evaluate runs/smollm2-demo --questions mine=my_questions.jsonl

All subjects are decoded alike, so that what differs is the models: at
temperature 0.7, top-p 0.95 and without a penalty (a run's recipe may say
otherwise under `comparison`); what a benchmark publishes of it holds for all,
too, and --temperature and the like beat both. --decoding own lets each sample as
its stage does, which results and tables then say.

DATA is a folder with the published files, at any depth: TruthfulQA.csv (tasks
truthfulqa, truthfulqa_generation), {harmless,helpful,honest,other}/task.json
(hhh) and so on; without --tasks every task whose files are there is done.
Results go to OUT/results.json, every item to OUT/items/SUBJECT/TASK.jsonl. What
is there already is not asked again: after an interrupt the same command goes
on. Each run tests the evaluator itself, and exits with 1 where a test fails.)";

struct Flags {
  SubjectFlags subjects;
  std::vector<std::string> tasks;
  std::vector<std::string> questions;
  std::string out;
  eval::TaskOptions options;
};

bool has_data(const eval::Task& task, const std::string& folder) {
  try {
    for (const std::string& file : task.files) eval::find_data(folder, file);
    return true;
  } catch (const Error& error) {
    log_info(str(task.name, " is left out: ", error.what()));
    return false;
  }
}

void check_names(const std::vector<eval::Task>& tasks) {
  std::set<std::string> names;
  for (const eval::Task& task : tasks) {
    if (names.insert(task.name).second) continue;
    throw Error(ErrorKind::kUsage,
                str("evaluate: expected each task once, found '", task.name,
                    "' twice in --tasks or --questions; leave one out, or name "
                    "it with --questions NAME=FILE"));
  }
}

// Those named, or all whose data are there; and those of --questions.
std::vector<eval::Task> tasks_of(const Flags& flags) {
  const std::string& folder = flags.options.data_folder;
  std::vector<eval::Task> tasks;
  for (const std::string& name : flags.tasks) {
    tasks.push_back(eval::task_named(name));
    if (folder.empty()) {
      throw Error(
          ErrorKind::kUsage,
          str("--tasks ", name,
              " needs --data, a folder with its published files; add it"));
    }
    for (const std::string& file : tasks.back().files) {
      eval::find_data(folder, file);
    }
  }
  for (const eval::Task& task : eval::tasks()) {
    if (flags.tasks.empty() && !folder.empty() && has_data(task, folder)) {
      tasks.push_back(task);
    }
  }
  for (const std::string& named : flags.questions) {
    tasks.push_back(eval::questions_task(named));
  }
  check_names(tasks);
  if (!tasks.empty()) return tasks;
  if (folder.empty()) {
    throw Error(
        ErrorKind::kUsage,
        "evaluate: nothing to ask is given; name a folder with published sets "
        "(--data FOLDER) or a file of questions (--questions FILE)");
  }
  throw Error(ErrorKind::kInput,
              folder +
                  ": no published file of any task is in this folder; see "
                  "selfalign evaluate --help for their names");
}

bool is_answered(const eval::Task& task, const PlannedSubject& planned,
                 const eval::TaskOptions& options) {
  return task.answered && task.answered(options, *planned.subject.published);
}

// Published answers are of some open questions, and a model that only chats
// tells no log-probabilities.
bool can_do(const eval::Task& task, const PlannedSubject& planned,
            const eval::TaskOptions& options) {
  const bool published = planned.subject.published != nullptr;
  const bool can =
      published ? is_answered(task, planned, options)
                : !task.scores || !planned.subject.generator->chats_only();
  if (!can) {
    log_warning(str(task.name, " is left out for ", planned.info.name, ": ",
                    published ? "its file answers none of these questions"
                              : "its server only chats, and this task compares "
                                "log-probabilities of given texts"));
  }
  return can;
}

// All that the tasks read, before any model is.
void check_data(const std::vector<eval::Task>& tasks,
                const std::vector<PlannedSubject>& subjects,
                const eval::TaskOptions& options) {
  for (const eval::Task& task : tasks) task.check(options);
  const std::string names = joined(tasks, ", ", &eval::Task::name);
  for (const PlannedSubject& planned : subjects) {
    const auto& answers = planned.subject.published;
    if (!answers ||
        std::any_of(tasks.begin(), tasks.end(), [&](const eval::Task& task) {
          return is_answered(task, planned, options);
        })) {
      continue;
    }
    throw Error(ErrorKind::kInput,
                str(answers->path,
                    ": expected an answer to each turn of some open question "
                    "of ",
                    names, ", found ", answers->turns.size(),
                    " answers to none; give an answer file as FastChat "
                    "publishes them, or other tasks"));
  }
}

// Where some task asks with prompts of an evaluation's own.
std::string prompts_of(const std::vector<eval::Task>& tasks,
                       const SubjectFlags& flags) {
  const bool needed =
      std::any_of(tasks.begin(), tasks.end(),
                  [](const eval::Task& task) { return task.scores; });
  return needed ? find_prompts_with("evaluation.yaml", flags.prompts, flags.run)
                : "";
}

eval::TaskResult evaluate_one(const eval::Task& task,
                              const PlannedSubject& planned,
                              const std::string& out,
                              const eval::TaskOptions& options) {
  const std::string items =
      "items/" + planned.info.name + "/" + task.name + ".jsonl";
  make_folder_in(out, "items/" + planned.info.name);
  eval::ItemLog log(out + "/" + items);
  eval::TaskResult result = task.run(planned.subject, log, options);
  result.items = items;
  result.keys = log.take_used();
  return result;
}

// Error kFailed names the tests of the evaluator that failed.
void require_passed(const std::vector<eval::TaskResult>& results) {
  std::string failed;
  for (const eval::TaskResult& result : results) {
    for (const eval::SelfTest& test : result.self_tests) {
      if (test.passed) continue;
      failed += str("\n  ", result.task, ", ", result.subject, ", ", test.name,
                    ": expected ", test.expected, ", found ", test.found);
    }
  }
  if (failed.empty()) return;
  throw Error(ErrorKind::kFailed,
              "self-tests: expected all to pass, so that the figures can be "
              "trusted, found:" +
                  failed);
}

// What was asked of a subject's server, added up.
void keep_usage(const std::string& folder, const PlannedSubject& planned,
                eval::ResultsWriter& writer) {
  if (!planned.model.is_served()) return;
  eval::Results fresh;
  fresh.usage = {eval::usage_of(
      folder, writer.results(),
      {"subject", planned.info.name, planned.info.model, planned.model.price})};
  writer.merge(fresh);
}

void evaluate(Flags flags, const Shell& shell) {
  const std::vector<eval::Task> tasks = tasks_of(flags);
  std::vector<PlannedSubject> subjects = plan_subjects(flags.subjects);
  if (flags.out.empty()) {
    flags.out = flags.subjects.run.empty() ? "evaluation"
                                           : flags.subjects.run + "/evaluation";
  }
  flags.options.prompts_folder = prompts_of(tasks, flags.subjects);
  check_data(tasks, subjects, flags.options);
  stages::check_can_write(flags.out);
  OpenModel models(flags.subjects.run, flags.subjects.allow_command);
  models.check(subjects);
  eval::ResultsWriter writer(flags.out);
  std::vector<std::vector<eval::TaskResult>> results(tasks.size());
  eval::Results asked;
  eval::KnownValues known;
  flags.options.known = &known;
  flags.options.decoding = flags.subjects.decoding;
  for (PlannedSubject& planned : subjects) {
    if (models.open(planned)) known.clear();
    asked.subjects.push_back(planned.info);
    for (size_t i = 0; i < tasks.size(); ++i) {
      stop_if_interrupted("the same command goes on");
      if (!can_do(tasks[i], planned, flags.options)) continue;
      const eval::TaskResult result =
          evaluate_one(tasks[i], planned, flags.out, flags.options);
      eval::Results fresh;
      fresh.subjects.push_back(planned.info);
      fresh.results.push_back(result);
      writer.merge(fresh);
      if (shell.json) write_json(to_json(result));
      results[i].push_back(result);
      asked.results.push_back(result);
    }
    keep_usage(flags.out, planned, writer);
  }
  for (size_t i = 0; i < tasks.size() && !shell.json; ++i) {
    write_out(report::results_table(tasks[i].title, results[i]));
  }
  if (!shell.json) {
    write_out(report::differences_text(
                  report::differences(flags.out, asked, nullptr)) +
              eval::costs_text(writer.results().usage));
  }
  report::update_report(flags.out);
  require_passed(asked.results);
}

}  // namespace

void add_evaluate(CLI::App& app, Shell& shell) {
  CLI::App* command = app.add_subcommand(
      "evaluate", "Benchmarks for the models of a run, or any others");
  auto flags = std::make_shared<Flags>();
  flags->subjects.compute.model.num_slots = 32;
  flags->subjects.add(*command);
  command
      ->add_option("--data", flags->options.data_folder,
                   "folder with the published evaluation sets")
      ->check(CLI::ExistingDirectory);
  command
      ->add_option(
          "--tasks", flags->tasks,
          str("some of ", joined(eval::tasks(), ", ", &eval::Task::name),
              "; all whose data are there"))
      ->delimiter(',');
  command->add_option("--questions", flags->questions,
                      "NAME=FILE of open questions, one task more each: JSON "
                      "objects with question_id, category and turns");
  command
      ->add_option("--limit", flags->options.limit,
                   "items of each task, drawn by --seed; 0 takes all")
      ->check(in_range(ranges::kNumDrawn))
      ->capture_default_str();
  command
      ->add_option("--seed", flags->options.seed,
                   "of the items drawn, the answers and the intervals")
      ->capture_default_str();
  command->add_option("--out", flags->out,
                      "results folder; else RUN/evaluation or ./evaluation");
  command->footer(kFooter);
  set_action(*command, shell, [flags, &shell] { evaluate(*flags, shell); });
}

}  // namespace selfalign::cli
