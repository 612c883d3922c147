// SPDX-License-Identifier: Apache-2.0
// What stages 2 and 4 and the held-out evaluation have in common: one request
// per instruction under one prompt, and the pairs of instruction and answer
// that the filter keeps.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "parse/rules.h"
#include "parse/thoughts.h"
#include "recipe/profile.h"
#include "stages/run.h"

namespace selfalign::stages {

struct AnswerPlan {
  std::string title;     // of the progress line
  std::string requests;  // stage of the requests: "align.answers"
  std::string pairs;     // stage of the kept pairs: "align.pairs"
  recipe::AnswerFilter recipe::Profile::*filter = nullptr;  // &Profile::align

  std::vector<store::Row> instructions;       // text under "instruction"
  std::shared_ptr<const std::string> prefix;  // the prompt all rows share
  std::string suffix_template;                // for the key; suffix() fills it
  std::function<std::string(const std::string& instruction)> suffix;
  // The same as turns, of a prompt that is a chat's. Optional.
  std::function<std::vector<generate::Message>(const std::string& instruction)>
      messages;
  generate::Sampling sampling;

  parse::AnswerFrame frame;     // how the answer stands in the prompt
  recipe::AnswerLimits limits;  // of what is kept; none
  // Key of an instruction's request. Optional: the hash of all it depends on.
  std::function<uint64_t(const store::Row& instruction)> key;
  // Numbers of the principles a thought names. Optional.
  std::function<parse::FiredRules(const std::string& thought)> rules;
};

// Answers all instructions, judges the answers by both profiles and commits
// both stages. What the other profile keeps with another text or end than the
// run's own has that in the detail of its verdict. Rows
// of `requests` have the instruction as parent and hold its text; rows of
// `pairs` have the request as parent and hold instruction, response, ends
// (false if length cut it off), tokens, and the rules that fired. The
// pairs' manifest has the mean answer length in tokens under
// "mean_answer_tokens" (of the pairs) and "mean_answer_tokens_of_all" (of all
// answers), the share of all that came to its end (browse.h, has_end) under
// "share_ended"; with `rules`, over all answers with a thought: "thoughts",
// "thoughts_without_rules" and "rule_forms" (mentions of each form of rules.h).
void answer_all(const AnswerPlan& plan, generate::Generator& generator,
                const Run& run);

}  // namespace selfalign::stages
