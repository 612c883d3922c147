// SPDX-License-Identifier: Apache-2.0
// Targeted refill: principles that fired in too few kept answers of stage 2
// get further questions, of the types in which they fired most often, between
// stages 2 and 3. Off unless the recipe asks for it.
//
// Up to four rounds, each planned from what the rounds before brought, so the
// same after any restart; round r is, from the topics of stage 1:
//   refill.r.requests -> refill.r.questions -> refill.r.answers
//     -> refill.r.pairs
// The pairs join stage 3's samples, the questions stage 4's instructions.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "stages/principles.h"
#include "stages/run.h"
#include "stages/stage_table.h"

namespace selfalign::stages {

void run_refill(const Run& run);

// What one round asks for. Exposed for tests.
struct RefillGoal {
  std::map<std::string, double> weights;  // questions by type
  int64_t num_questions = 0;              // 0: nothing lacks
};
// For each rule that lacks kept answers, as many questions as it takes by the
// shares of the three types that have most of it; shares of types with few rows
// lean towards the rule's share of all rows.
RefillGoal refill_goal(const PrincipleUse& use, const recipe::Prompts& prompts,
                       int min_per_rule);

}  // namespace selfalign::stages
