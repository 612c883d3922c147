// SPDX-License-Identifier: Apache-2.0
// TruthfulQA (Lin, Hilton and Evans 2022): 817 questions that people answer
// wrongly out of habit, with true and false answers to each.
//
// Multiple choice, by the sums of the answers' log-probabilities (the
// benchmark's own definitions):
//   MC1  the best answer is above every false one
//   MC2  share of the probability of all answers that true ones have
//   MC3  share of the true answers that are above every false one
// asked as "Q: ...\nA:", alone and after the six pairs of the preset; and by
// asking in the subject's own form of each answer whether it is true (paper:
// section 4.2.1), log p(true) - log p(false). The published code looks at the
// first half of the choices only, among which the best one, always first, is
// right by chance far more often: that figure is computed too, and labelled.
#pragma once

#include <string>
#include <vector>

#include "eval/choices.h"

namespace selfalign::eval {

struct TruthfulQuestion {
  std::string id;  // number of the row, from 1
  std::string category;
  std::string question;
  std::vector<std::string> correct;    // the best one first
  std::vector<std::string> incorrect;  // at least one
};

// The published CSV. Answers are parted by ";", end with a full stop (one is
// put where there is none) and stand once in their list. Error kInput names
// file and row.
std::vector<TruthfulQuestion> read_truthfulqa(const std::string& path);

TaskResult run_truthfulqa(const Subject& subject, ItemLog& log,
                          const TaskOptions& options);
void check_truthfulqa(const TaskOptions& options);

// MC2 and MC3 of an item's values.
double true_mass(const ChoiceItem& item, const std::vector<double>& values);
double true_above_all_false(const ChoiceItem& item,
                            const std::vector<double>& values);

}  // namespace selfalign::eval
