// SPDX-License-Identifier: Apache-2.0
// The logged answers of subjects, and how they are put before a judge.
#pragma once

#include <string>
#include <vector>

#include "eval/results.h"
#include "judge/judge.h"

namespace selfalign::judge {

struct JudgedAnswer {
  std::string id;
  std::string category;
  std::vector<std::string> turns;
  std::vector<std::string> answers;    // as many as turns
  std::vector<std::string> reference;  // "" for a turn without; may be empty
  std::vector<std::string> correct;    // TruthfulQA's; may be empty
  std::vector<std::string> incorrect;
};

// Those that the subject's result of the task was computed from; none where
// there is no such result. Error kDamaged or kInput names the place.
std::vector<JudgedAnswer> read_answers(const std::string& folder,
                                       const eval::Results& results,
                                       const std::string& task,
                                       const std::string& subject);

// Names the answers up to `turn` by their texts, whoever gave them.
std::string answers_digest(const JudgedAnswer& answer, size_t turn);

// The answers of two subjects to the same question.
struct AnswerPair {
  JudgedAnswer a;
  JudgedAnswer b;
};
std::vector<AnswerPair> common_questions(const std::vector<JudgedAnswer>& a,
                                         const std::vector<JudgedAnswer>& b);

// A second turn is shown with the first; later ones are not judged. References
// are shown of math, reasoning and coding, as published, where all of those
// needed are there.
size_t num_judged_turns(const JudgedAnswer& answer);
// `turn` counts from 0; `about` is filled but for what names the comparison.
Inquiry pair_inquiry(const JudgedAnswer& first, const JudgedAnswer& second,
                     size_t turn);
Inquiry single_inquiry(const JudgedAnswer& answer, size_t turn);

}  // namespace selfalign::judge
