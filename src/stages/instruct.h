// SPDX-License-Identifier: Apache-2.0
// Stage 1, Topic-Guided Red-Teaming Self-Instruct (paper: section 3.1): the
// base model writes the instructions. First half: Self-Instruct from the 175
// seed tasks. Second half: questions of 20 adversarial types, on topics that
// the model brainstorms for each type.
//
// Stages in the store, each row's parent in the one before it:
//   instruct.seeds -> instruct.requests -> instruct.tasks
//   redteam.seeds -> redteam.topic_requests -> redteam.topics
//     -> redteam.requests -> redteam.questions
#pragma once

#include <map>
#include <string>

#include "stages/instruction_filter.h"
#include "stages/run.h"

namespace selfalign::stages {

void run_instruct(const Run& run);

// The second half; `filters` remember all that is kept so far.
void run_red_team(const Run& run, InstructionFilters& filters);

// Questions to write on the topics that stage 1 found.
struct QuestionGoal {
  std::string requests;   // stages: "redteam.requests"
  std::string questions;  // "redteam.questions"
  std::string balance;    // BalanceOptions::kind
  int64_t num_questions = 0;
  int64_t max_requests = 0;
  std::map<std::string, double> weights;  // by type, for the others 0; empty:
                                          // those of red_team.yaml
  std::string limit;  // the recipe's key for max_requests, for the person
};
void write_questions(const Run& run, InstructionFilters& filters,
                     const QuestionGoal& goal);

}  // namespace selfalign::stages
