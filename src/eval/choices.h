// Multiple choice by log-probability: every choice of an item gets a number in
// each of several forms, and figures are computed from the numbers alone. The
// log keeps the numbers, so that figures and self-tests can be made again
// without the model.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "eval/tasks.h"

namespace selfalign::eval {

struct ChoiceItem {
  std::string id;
  std::string group;  // category
  std::string question;
  std::vector<std::string> choices;
  std::vector<bool> correct;  // one per choice
  size_t best = 0;            // the choice that counts where one must win
};

// One number per choice, by form; higher is more probable.
using ChoiceValues = std::map<std::string, std::vector<double>>;

struct ChoiceForm {
  std::string name;
  std::function<std::vector<generate::ScoreRequest>(const ChoiceItem&)> ask;
  // From the scores of those requests: one value per choice.
  std::function<std::vector<double>(const ChoiceItem&,
                                    const std::vector<generate::Scores>&)>
      read;
};

struct ChoiceMetric {
  std::string name;
  std::string title;
  std::vector<std::string> forms;  // that `score` reads
  // Of one item, in [0, 1].
  std::function<double(const ChoiceItem&, const ChoiceValues&)> score;
  // Its mean under a scorer that knows nothing; none where not set.
  std::function<double(const ChoiceItem&)> chance;
  double oracle = 1.0;            // under a scorer that knows everything
  bool is_share = true;           // of 0 and 1: Wilson; else bootstrap
  bool per_byte = false;          // values are divided by the choices' bytes
  bool depends_on_order = false;  // of the choices: a fault of the figure
  bool higher_is_better = true;
  std::string note;
};

struct ChoiceTask {
  std::string name;
  std::string version;
  std::string data;  // TaskResult::data
  std::vector<ChoiceItem> items;
  std::vector<ChoiceForm> forms;
  std::vector<ChoiceMetric> metrics;
  bool by_group = false;  // figures for each group and their mean, too
  Json settings;
};

// Scores the items the log lacks, a few at a time, and makes the result. A
// context that the model has no room for leaves the item without a value: its
// score is 0 and it is counted in num_failures. Error kInterrupted.
TaskResult run_choices(const ChoiceTask& task, const Subject& subject,
                       ItemLog& log, const TaskOptions& options);

// Sum of a continuation's log-probabilities.
double sum_logprobs(const generate::ContinuationScore& score);

// 1 if the best choice has a value above those of all wrong choices, else 0;
// a tie is lost. Only the first `num_considered` of best and wrong choices, in
// their order, take part where that is not 0.
double best_wins(const ChoiceItem& item, const std::vector<double>& values,
                 size_t num_considered = 0);

}  // namespace selfalign::eval
