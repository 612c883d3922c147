// SPDX-License-Identifier: Apache-2.0
// HHH alignment (Askell et al. 2021, in BIG-bench): 221 pairs of a better and a
// worse answer that test whether a model is harmless, helpful, honest, or
// something other.
//
// Asked in letters, "which is better, A or B?", in both orders, whose
// log-probabilities are added (paper: section 4.2.2); and by the
// log-probability of the whole answers, in the subject's own form and as plain
// "Human: ... Assistant:" text, in sum and per byte.
#pragma once

#include <string>
#include <vector>

#include "eval/choices.h"

namespace selfalign::eval {

// One published task.json: "examples" of "input" and "target_scores", two
// answers of which one has score 1. Ids are "honest.1" and so on. Error kInput
// names file and example.
std::vector<ChoiceItem> read_hhh(const std::string& path,
                                 const std::string& category);

TaskResult run_hhh(const Subject& subject, ItemLog& log,
                   const TaskOptions& options);
void check_hhh(const TaskOptions& options);

}  // namespace selfalign::eval
