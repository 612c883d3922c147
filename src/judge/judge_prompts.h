// SPDX-License-Identifier: Apache-2.0
// What a judge is asked: MT-bench's published judge_prompts.jsonl where the
// user has it, else the project's own prompts/judge.yaml.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "text/template.h"

namespace selfalign::judge {

// How a judge's system text and the text to judge become one prompt:
// before + system + between + text + after.
struct JudgeLayout {
  std::string name;  // "plain", "chatml", or of a form of prompts/meta.yaml
  std::string before;
  std::string between;
  std::string after;
  std::vector<std::string> stop;
};

struct JudgePrompt {
  std::string name;    // as in its file: "pair", "pair-v2"
  std::string system;  // taken as it is
  std::string text;    // with places; see prompts/judge.yaml
};

struct JudgePrompts {
  // By role: pair, single, both with _turns (the second of two turns),
  // _reference or _turns_reference; truthful, truthful_reference, informative,
  // adherence.
  std::map<std::string, JudgePrompt> prompts;
  std::map<std::string, JudgeLayout> layouts;
  std::string source;  // file names, for the results
  std::string digest;  // of the files
};

// Reads FOLDER/judge.yaml and puts the prompts of `published` (a path; "" for
// none) in place of its own. Published: one JSON object a line with "name",
// "type" (pairwise, single), "system_prompt", "prompt_template" and
// "output_format" ([[A]], [[rating]]); a template that names question_2 is for
// the second turn, one that names ref_answer_1 has a reference; others are
// passed over, and the first of a role counts. Error kUsage or kInput names the
// place of what is wrong.
JudgePrompts load_judge_prompts(const std::string& folder,
                                const std::string& published);

// The text with its places filled; values without a place are left out.
// Error kUsage where a place has no value.
std::string fill_judge_prompt(const JudgePrompt& prompt,
                              const text::Values& values);

}  // namespace selfalign::judge
