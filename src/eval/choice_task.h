// SPDX-License-Identifier: Apache-2.0
// A task of multiple choice, as data.
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

}  // namespace selfalign::eval
