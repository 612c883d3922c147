// SPDX-License-Identifier: Apache-2.0
// The last step of red-teaming: topics -> questions. A request asks for a
// question on each of instruct.hints_per_request topics (question_form.h),
// spread over the types by balance.h. A question's row has the request as its
// parent and its own type and topic.
#pragma once

#include <cstdint>
#include <vector>

#include "recipe/question_form.h"
#include "stages/instruct.h"

namespace selfalign::stages {

struct SeedQuestions {
  std::vector<uint64_t> keys;  // of their rows
  std::vector<recipe::TypedQuestion> questions;
};

// Asks about the topics kept in the store and commits the goal's two stages.
void ask_questions(const Run& run, InstructionFilters& filters,
                   const QuestionGoal& goal, const SeedQuestions& seeds);

}  // namespace selfalign::stages
