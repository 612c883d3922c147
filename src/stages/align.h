// SPDX-License-Identifier: Apache-2.0
// Stage 2, principle-driven self-alignment (paper: section 3.2): under a
// prompt of 16 principles and 5 worked exemplars the base model first writes
// internal thoughts (what is asked, which rules apply), then the answer. What
// the filter keeps becomes pairs without principles and thoughts.
//
// Stages: align.answers (parent: the instruction) -> align.pairs.
#pragma once

#include "parse/filters.h"
#include "stages/answers.h"
#include "stages/run.h"

namespace selfalign::stages {

// What the store keeps the tokens under that stage 2 never samples, as the
// model had them: whoever plays the run again may lack its tokenizer.
constexpr char kBannedTokens[] = "align.banned_tokens";

void run_align(const Run& run);

// What an answer under `prompts` is read and judged by.
parse::AnswerFrame align_frame(const recipe::Prompts& prompts);

// What run_align does, as the recipe's profile has it; opens the base model.
AnswerPlan stage_plan(const Run& run, std::vector<store::Row> instructions);

// Bans the token that a word begins with, alone or after a space, as the
// generator's score() tells it; one of the word's first character alone begins
// far too many other words and is let be. Warns where nothing can be banned.
void ban_words(const std::vector<std::string>& words,
               generate::Generator& generator, generate::Sampling& sampling);

// Stage 2's request for each of `instructions`, under other stage names for
// the held-out evaluation.
AnswerPlan align_plan(const Run& run, std::vector<store::Row> instructions);

}  // namespace selfalign::stages
