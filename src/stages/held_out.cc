// SPDX-License-Identifier: Apache-2.0
#include "stages/held_out.h"

#include "base/error.h"
#include "base/hash.h"
#include "stages/align.h"
#include "stages/funnel.h"
#include "stages/keys.h"
#include "stages/verbose.h"

namespace selfalign::stages {
namespace {

using store::Row;

constexpr char kQuestions[] = "held_out.questions";
constexpr char kPromptedPairs[] = "held_out.prompted.pairs";

// Those to be shown first, so that they are there however few are asked for.
std::vector<Row> add_questions(const Run& run) {
  std::vector<Row> rows;
  for (const bool show : {true, false}) {
    for (const recipe::HeldOutInstruction& question : run.prompts.held_out) {
      if (question.show != show ||
          rows.size() >= size_t(run.recipe.num_held_out)) {
        continue;
      }
      rows.push_back({item_key(kQuestions, question.instruction, rows.size()),
                      kQuestions,
                      int64_t(rows.size()),
                      {},
                      Json{{"instruction", question.instruction},
                           {"show", question.show}}});
    }
  }
  run.store.add_rows(rows);
  finish_stage(run.store, kQuestions, "", int64_t(rows.size()));
  return rows;
}

using recipe::Role;
using OpenModel = generate::Generator& (*)(Models&, Role);

// Answers as `variant`, unless that is done.
void answer_as(const std::string& variant, AnswerPlan plan, OpenModel open,
               const Run& run) {
  plan.title = "held-out, " + variant;
  plan.requests = "held_out." + variant + ".answers";
  plan.pairs = "held_out." + variant + ".pairs";
  const std::vector<std::string> stop = std::move(plan.sampling.stop);
  plan.sampling = variant_sampling(run.recipe, variant);
  plan.sampling.stop = stop;
  if (stage_done(run.store, plan.pairs)) return;
  answer_all(plan, open(run.models, Role::kEvaluate), run);
}

// Mean negative log-probability per token of the prompted base's answers, by
// the model that is tuned, which is on this machine: not all servers score.
void score_as(const std::string& variant, OpenModel open, const Run& run) {
  const std::string stage = "held_out." + variant + ".loss";
  if (stage_done(run.store, stage)) return;
  std::vector<generate::ScoreRequest> requests;
  Hasher hasher;
  for (const Row& pair : run.store.rows(kPromptedPairs)) {
    const recipe::ChatPrompt& prompt = run.prompts.engraved;
    requests.push_back(
        {pair.key,
         prompt.prompt +
             recipe::chat_turn(prompt,
                               json_string(pair.content, "instruction", stage)),
         {json_string(pair.content, "response", stage)}});
    hasher.add(pair.key);
  }
  double sum = 0.0;
  LossReport report;
  for (const generate::Scores& scores :
       open(run.models, Role::kTrain).score(requests)) {
    for (const auto& continuation : scores.continuations) {
      report.num_answers += generate::has_answer(continuation.finish);
      for (const float logprob : continuation.logprobs) {
        sum -= double{logprob};
        ++report.num_tokens;
      }
    }
  }
  store::Manifest manifest;
  manifest.stage = stage;
  manifest.digest = hasher.digest();  // of what was scored
  if (report.num_tokens > 0) report.loss = sum / double(report.num_tokens);
  manifest.report = to_json(report);
  run.store.commit_manifest(manifest);
}

generate::Generator& base(Models& models, Role role) {
  return models.base(role);
}
generate::Generator& engraved(Models& models, Role role) {
  return models.tuned("engraved", role);
}
generate::Generator& verbose(Models& models, Role role) {
  return models.tuned("verbose", role);
}
generate::Generator& tuned(Models& models, Role role) {
  return models.tuned("tuned", role);
}

}  // namespace

const recipe::ChatPrompt& plain_prompt() {
  static const recipe::ChatPrompt prompt{
      "", "{instruction}", "\n\n", "\n\n", {}};
  return prompt;
}

void run_held_out(const Run& run) {
  const std::vector<Row> questions = add_questions(run);
  if (questions.empty()) return;
  const auto under = [&](const recipe::ChatPrompt& prompt) {
    return chat_plan(prompt, run, questions);
  };
  answer_as("base", under(plain_prompt()), base, run);
  if (run.recipe.has("tune")) {
    answer_as("tuned", under(run.prompts.tuned), tuned, run);
    return;
  }
  answer_as("prompted", align_plan(run, questions), base, run);
  if (run.recipe.has("engrave")) {
    score_as("base", base, run);
    answer_as("engraved", under(run.prompts.engraved), engraved, run);
    score_as("engraved", engraved, run);
  }
  if (run.recipe.has("verbose")) {
    answer_as("verbose", under(run.prompts.verbose), verbose, run);
  }
  // The last, so that a run of a version without it is a part of this one.
  answer_as("short", under(run.prompts.engraved), base, run);
}

}  // namespace selfalign::stages
