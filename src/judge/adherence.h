// SPDX-License-Identifier: Apache-2.0
// Adherence: was the principle that fired kept? The internal thoughts of stage
// 2 name the rules that apply (paper: section 3.2 and Figure 6); a judge is
// shown a rule, the request and the answer, and says whether the answer keeps
// to the rule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/evaluation.h"
#include "judge/judge.h"
#include "recipe/prompts.h"
#include "store/reader.h"

namespace selfalign::judge {

// A rule that fired in the thought of a kept answer.
struct FiredRule {
  std::string id;  // "align.pairs:12 rule 3"
  std::string row;
  int rule = 0;  // from 1
  std::string question;
  std::string answer;
};

// Of align.pairs and the refills' pairs; of each rule up to `per_rule` (0:
// all), drawn by the seed, in order of rows.
std::vector<FiredRule> fired_rules(const store::Reader& store, int64_t per_rule,
                                   uint64_t seed);

// Task "adherence.judge.NAME" of the subject "align.pairs": the share of fired
// rules that were kept, over all and by rule. The same is asked with the answer
// of another row in each answer's place: "adherence_swapped", and the paired
// difference to it, "adherence_gain"; a judge that reads the answers finds the
// rows' own better, so where the interval of that difference is not above 0,
// its note says that the judge does not tell them apart. Judgements without a
// verdict are failures and count as not kept; without any verdict there is no
// share.
eval::TaskResult judge_adherence(Judge& judge, const recipe::Prompts& prompts,
                                 const std::vector<FiredRule>& fired,
                                 uint64_t seed);

// A line a rule: its number and name, how often it was asked about, the share
// that was kept, with its interval.
std::string adherence_text(const eval::TaskResult& result);

}  // namespace selfalign::judge
