// SPDX-License-Identifier: Apache-2.0
// Multiple choice by log-probability: every choice of an item gets a number in
// each of several forms, and figures are computed from the numbers alone. The
// log keeps the numbers, so that figures and self-tests can be made again
// without the model.
#pragma once

#include <vector>

#include "eval/choice_task.h"

namespace selfalign::eval {

// Scores the items the log lacks, a few at a time, and makes the result. A
// context that the model has no room for leaves the item without a value: its
// score is 0 and it is counted in num_failures. Error kInterrupted.
TaskResult run_choices(const ChoiceTask& task, const Subject& subject,
                       ItemLog& log, const TaskOptions& options);

// Sum of a continuation's log-probabilities.
double sum_logprobs(const generate::ContinuationScore& score);

// By the log-probability of each choice as the text after `context`.
ChoiceForm text_form(const std::string& name,
                     std::function<std::string(const ChoiceItem&)> context);

// 1 if the best choice has a value above those of all wrong choices, else 0;
// a tie is lost. Only the first `num_considered` of best and wrong choices, in
// their order, take part where that is not 0.
double best_wins(const ChoiceItem& item, const std::vector<double>& values,
                 size_t num_considered = 0);

}  // namespace selfalign::eval
