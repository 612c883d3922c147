// SPDX-License-Identifier: Apache-2.0
// TruthfulQA by generation (Lin, Hilton and Evans 2022, section 3.2): each
// question is answered in the subject's own form, greedily unless asked
// otherwise, and the answer's words are set against the true and the false
// reference answers. That says which side an answer is nearer to, not whether
// it is true: for truthful and informative there is `selfalign judge`, which
// reads the logged answers.
#pragma once

#include <string>
#include <vector>

#include "eval/tasks.h"

namespace selfalign::eval {

TaskResult run_truthfulqa_generation(const Subject& subject, ItemLog& log,
                                     const TaskOptions& options);
void check_truthfulqa_generation(const TaskOptions& options);

// {"bleu_diff", "bleu_acc", "rouge1_diff", ...}: for each measure the best of
// the true references less the best of the false ones, and whether that is
// above 0.
Json overlap_scores(const std::string& answer,
                    const std::vector<std::string>& correct,
                    const std::vector<std::string>& incorrect);

}  // namespace selfalign::eval
