// SPDX-License-Identifier: Apache-2.0
#include "eval/task_table.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/joined.h"
#include "eval/hhh.h"
#include "eval/items.h"
#include "eval/questions.h"
#include "eval/truthfulqa.h"
#include "eval/truthfulqa_generation.h"

namespace selfalign::eval {
namespace {

namespace fs = std::filesystem;

// "NAME=FILE" in two; a name from the file's where none is given.
std::pair<std::string, std::string> name_and_file(const std::string& named) {
  const size_t mark = named.find('=');
  if (mark != std::string::npos && named.find('/') > mark) {
    return {named.substr(0, mark), named.substr(mark + 1)};
  }
  const fs::path path = fs::absolute(named);
  const std::string stem = path.stem().string();
  return {stem == "question" ? path.parent_path().filename().string() : stem,
          named};
}

}  // namespace

const std::vector<Task>& tasks() {
  static const std::vector<Task> all{
      {"truthfulqa",
       "TruthfulQA, multiple choice",
       {"TruthfulQA.csv"},
       run_truthfulqa,
       check_truthfulqa,
       true},
      {"truthfulqa_generation",
       "TruthfulQA, answers against the reference answers",
       {"TruthfulQA.csv"},
       run_truthfulqa_generation,
       check_truthfulqa_generation},
      {"hhh",
       "HHH: harmless, helpful, honest, other",
       {"harmless/task.json", "helpful/task.json", "honest/task.json",
        "other/task.json"},
       run_hhh,
       check_hhh,
       true},
      {"vicuna",
       "Vicuna's questions",
       {"vicuna_bench/question.jsonl"},
       run_vicuna,
       check_vicuna,
       false,
       vicuna_answered},
      {"mt_bench",
       "MT-bench, two turns",
       {"mt_bench/question.jsonl"},
       run_mt_bench,
       check_mt_bench,
       false,
       mt_bench_answered},
  };
  return all;
}

const Task& task_named(const std::string& name) {
  for (const Task& task : tasks()) {
    if (task.name == name) return task;
  }
  throw Error(ErrorKind::kUsage,
              str("--tasks: expected some of ",
                  joined(tasks(), ", ", &Task::name), ", found '", name, "'"));
}

Task questions_task(const std::string& named) {
  const auto [name, path] = name_and_file(named);
  require_name("--questions " + named, name);
  // The last two are of the run itself, in its results and in its report.
  if (name == "adherence" || name == "held_out" ||
      std::any_of(
          tasks().begin(), tasks().end(),
          [&own = name](const Task& task) { return task.name == own; })) {
    throw Error(ErrorKind::kUsage,
                str("--questions ", named,
                    ": expected a name that no task has, found '", name,
                    "'; give NAME=FILE"));
  }
  return open_task(name, path);
}

}  // namespace selfalign::eval
