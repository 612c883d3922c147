// SPDX-License-Identifier: Apache-2.0
// What stages 2 and 4 and the held-out evaluation have in common: one request
// per instruction under one prompt, and the pairs of instruction and answer
// that the filter keeps.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "parse/thoughts.h"
#include "recipe/chat.h"
#include "stages/run.h"

namespace selfalign::stages {

struct AnswerPlan {
  std::string title;     // of the progress line
  std::string requests;  // stage of the requests: "align.answers"
  std::string pairs;     // stage of the kept pairs: "align.pairs"

  std::vector<store::Row> instructions;  // text under "instruction"
  // The prompt: a chat's, whose answers the profile's filter of stage 4 judges;
  // null: that of stage 2, with thoughts that name rules, and its filter.
  const recipe::ChatPrompt* chat = nullptr;
  std::shared_ptr<const std::string> prefix;  // what all rows share of it
  std::string suffix_template;                // of the rest, for the key
  generate::Sampling sampling;

  parse::AnswerFrame frame;     // how the answer stands in the prompt
  recipe::AnswerLimits limits;  // of what is kept; none
  // Keys of the requests by those of the instructions; empty: each the hash of
  // all it depends on.
  std::unordered_map<uint64_t, uint64_t> keys;
};

// Answers all instructions, judges the answers and commits both stages. Where
// both profiles judge, what the other one keeps with another text or end than
// the run's own has that in the detail of its verdict. Rows of `requests` have
// the instruction as parent and hold its text; rows of `pairs` have the request
// as parent and hold instruction, response, ends
// (false if length cut it off), tokens, and the rules that fired. The
// pairs' manifest has the mean answer length in tokens under
// "mean_answer_tokens" (of the pairs) and "mean_answer_tokens_of_all" (of all
// answers), the share of all that came to its end (browse.h, has_end) under
// "share_ended"; with rules, over all answers with a thought: "thoughts",
// "thoughts_without_rules" and "rule_forms" (mentions of each form of rules.h).
void answer_all(const AnswerPlan& plan, generate::Generator& generator,
                const Run& run);

}  // namespace selfalign::stages
