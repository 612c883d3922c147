#include "eval/tasks.h"

#include "base/error.h"
#include "eval/hhh.h"
#include "eval/questions.h"
#include "eval/truthfulqa.h"
#include "eval/truthfulqa_generation.h"

namespace selfalign::eval {

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
  std::string names;
  for (const Task& task : tasks()) {
    if (task.name == name) return task;
    names += (names.empty() ? "" : ", ") + task.name;
  }
  throw Error(ErrorKind::kUsage,
              str("--tasks: expected some of ", names, ", found '", name, "'"));
}

}  // namespace selfalign::eval
