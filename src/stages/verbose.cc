// SPDX-License-Identifier: Apache-2.0
#include "stages/verbose.h"

#include "recipe/chat.h"
#include "recipe/profile.h"
#include "stages/funnel.h"
#include "stages/instructions.h"
#include "stages/keys.h"
#include "stages/tuning.h"

namespace selfalign::stages {
namespace {

// The engraved model is asked about itself, too.
void add_identity_questions(const Run& run, std::vector<store::Row>& rows) {
  constexpr char kStage[] = "verbose.identity";
  std::vector<store::Row> questions;
  questions.reserve(size_t(run.recipe.identity_repeats) *
                    run.prompts.identity.size());
  for (int time = 0; time < run.recipe.identity_repeats; ++time) {
    for (const recipe::IdentityRow& row : run.prompts.identity) {
      questions.push_back({item_key(kStage, row.question, questions.size()),
                           kStage,
                           int64_t(questions.size()),
                           {},
                           Json{{"instruction", row.question}}});
    }
  }
  run.store.add_rows(questions);
  finish_stage(run.store, kStage, "", int64_t(questions.size()));
  rows.insert(rows.end(), questions.begin(), questions.end());
}

void answer_in_depth(const Run& run) {
  AnswerPlan plan = chat_plan(run.prompts.verbose_distill, run,
                              instructions_for("verbose.answers", run.store));
  plan.title = "verbose";
  plan.requests = "verbose.answers";
  plan.pairs = "verbose.pairs";
  plan.limits = run.recipe.verbose.limits;
  const recipe::Profile& profile = recipe::profile_named(run.recipe.profile);
  if (!profile.stops_at_turns) plan.sampling.stop.clear();
  if (!profile.repeats_identity) add_identity_questions(run, plan.instructions);
  answer_all(plan, run.models.tuned("engraved", recipe::Role::kVerbose), run);
}

}  // namespace

AnswerPlan chat_plan(const recipe::ChatPrompt& prompt, const Run& run,
                     std::vector<store::Row> instructions) {
  AnswerPlan plan;
  plan.chat = &prompt;
  plan.instructions = std::move(instructions);
  plan.prefix = std::make_shared<const std::string>(prompt.prompt);
  plan.suffix_template = prompt.user + prompt.answer;
  plan.sampling = run.recipe.verbose.sampling;
  plan.sampling.stop = prompt.stop;
  plan.frame.user_tag = recipe::chat_user_tag(prompt);
  for (const std::string& stop : prompt.stop) {
    plan.frame.turn_tags.push_back(parse::trim(stop));
  }
  plan.frame.marks = {parse::trim(prompt.answer)};
  plan.frame.exemplars = recipe::shown_answers(prompt);
  return plan;
}

void run_verbose(const Run& run) {
  if (!stage_done(run.store, "verbose.pairs")) answer_in_depth(run);
  const recipe::Profile& profile = recipe::profile_named(run.recipe.profile);
  tune_on_pairs(
      {.source = "verbose.pairs",
       .samples = "verbose.samples",
       .adapter = "verbose.adapter",
       .folder = "verbose",
       .form = "final",
       .prompt = run.prompts.verbose,
       .other_prompt =
           profile.one_verbose_prompt ? nullptr : &run.prompts.engraved,
       .with_identity = profile.repeats_identity,
       .options = run.recipe.final},
      run);
}

}  // namespace selfalign::stages
