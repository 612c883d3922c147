// SPDX-License-Identifier: Apache-2.0
// Stage 4, verbose cloning (paper: section 3.4, context distillation): the
// engraved model answers all instructions again under a prompt that asks for
// long, in-depth answers; the base model is tuned on those under a prompt that
// does not.
//
// Stages: verbose.answers (parent: the instruction) -> verbose.pairs ->
// verbose.samples -> verbose.adapter (run folder "verbose").
#pragma once

#include "stages/answers.h"
#include "stages/run.h"

namespace selfalign::stages {

void run_verbose(const Run& run);

// One request per instruction under a chat prompt; the caller names the
// stages.
AnswerPlan chat_plan(const recipe::ChatPrompt& prompt, const Run& run,
                     std::vector<store::Row> instructions);

}  // namespace selfalign::stages
