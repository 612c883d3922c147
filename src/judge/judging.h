// SPDX-License-Identifier: Apache-2.0
// Judging logged answers: two subjects against each other, marks for one
// subject, truth and information of TruthfulQA's answers. What `selfalign
// judge` writes into results.json.
#pragma once

#include <string>
#include <vector>

#include "eval/comparison.h"
#include "eval/evaluation.h"
#include "judge/judge.h"
#include "judge/judged_answers.h"
#include "judge/pairwise.h"

namespace selfalign::judge {

// Which answers are judged.
struct Contest {
  std::string task;  // "vicuna"
  std::string a;     // names of subjects
  std::string b;
  std::vector<AnswerPair> pairs;
};

// Both orders of every turn.
std::vector<PairVerdict> pair_verdicts(Judge& judge, const Contest& contest);

// pair_figures with who judged whom, the judge's settings, what it says of
// identical answers, and self-tests.
eval::Comparison judge_pairs(Judge& judge, const Contest& contest,
                             uint64_t seed);

// Task "vicuna.judge.NAME", so that the results of several judges stand side by
// side: the mean mark from 1 to 10, overall, by turn and by
// category, over the answers that got one; with those that got none taken for
// the worst and for the best mark; points per 1,000 characters. None of them
// where no answer got a mark.
eval::TaskResult judge_singles(Judge& judge, const std::string& task,
                               const std::string& subject,
                               const std::vector<JudgedAnswer>& answers,
                               uint64_t seed);

// Task "truthfulqa_generation.judge.NAME": shares of answers that are truthful,
// informative, both. An answer without a verdict counts as not; `note` gives
// the share if it counted; without any verdict there is no share.
eval::TaskResult judge_truth(Judge& judge, const std::string& task,
                             const std::string& subject,
                             const std::vector<JudgedAnswer>& answers);

// A judge whose verdicts are known, over the same answers and the same way:
// who prefers the longer answer, the first one, any one.
std::vector<eval::SelfTest> check_pairs(const Contest& contest, uint64_t seed);

// The agreement with every one of `comparisons` by another judge that has items
// in common. Elements as in results.json, logs in `folder`.
std::vector<eval::JudgeAgreement> agreements(
    const std::string& folder, const eval::Comparison& comparison,
    const std::vector<eval::Comparison>& comparisons);

// `comparison`, then those of `comparisons` that are about the same answers by
// other judges, each with its agreement as all of them stand now.
std::vector<eval::Comparison> with_agreements(
    const std::string& folder, const eval::Comparison& comparison,
    std::vector<eval::Comparison> comparisons);

// The verdicts that a comparison was computed from, `a` standing for that one
// of its two subjects; `question` names the item by its id, turn and answers.
// None where marks alone were given.
std::vector<PairVerdict> logged_pairs(const std::string& folder,
                                      const eval::Comparison& comparison,
                                      const std::string& a);

}  // namespace selfalign::judge
