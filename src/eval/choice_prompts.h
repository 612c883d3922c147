// SPDX-License-Identifier: Apache-2.0
// How models are asked to choose: prompts/evaluation.yaml and
// prompts/truthfulqa_preset.yaml.
#pragma once

#include <string>
#include <vector>

#include "eval/choices.h"
#include "text/template.h"

namespace selfalign::eval {

struct ChoicePrompt {
  std::string user;   // with places
  std::string begin;  // of the answer; "" for none
  std::vector<std::string> choices;
};

struct ChoicePrompts {
  ChoicePrompt true_false;  // {question} {answer}
  ChoicePrompt letters;     // {input} {first} {second}
};
// Error kUsage names every mistake at file:line:column.
ChoicePrompts load_choice_prompts(const std::string& folder);

// "Q: ...\nA: ...\n\n" for each of TruthfulQA's six pairs.
std::string load_truthfulqa_preset(const std::string& folder);

// The request whose continuations are the prompt's choices, after the
// subject's own form of asking.
generate::ScoreRequest choice_request(const Subject& subject,
                                      const ChoicePrompt& prompt,
                                      const text::Values& values);

}  // namespace selfalign::eval
