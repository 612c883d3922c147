// SPDX-License-Identifier: Apache-2.0
// The score of one subject relative to another: the sum of a judge's marks for
// it by the sum for the other, over what both have marks on (Chiang et al.
// 2023; paper: Figure 5, relative to ChatGPT; by category Figure 8).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "eval/results.h"

namespace selfalign::eval {

struct AnswerMark {
  std::string category;
  double mark = 0.0;
};
// By question and turn.
using AnswerMarks = std::map<std::pair<std::string, int64_t>, AnswerMark>;

// The marks that a result of judge_singles was computed from; answers without a
// verdict are not in it. Errors as of result_items.h.
AnswerMarks logged_marks(const std::string& folder, const TaskResult& result);

// None where no answer has both marks.
std::optional<RelativeScore> relative_score(const AnswerMarks& a,
                                            const AnswerMarks& b,
                                            uint64_t seed);

// The comparison of these names and decoding as it is in `results`, or, where
// the two were not compared, `named` itself, and with the score; none where the
// judge did not mark both. `results` has one decoding of the task's answers.
std::optional<Comparison> with_relative_score(const std::string& folder,
                                              const Results& results,
                                              const Comparison& named,
                                              uint64_t seed);

}  // namespace selfalign::eval
