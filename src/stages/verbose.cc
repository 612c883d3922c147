#include "stages/verbose.h"

#include "stages/funnel.h"
#include "stages/instruct.h"
#include "stages/tuning.h"

namespace selfalign::stages {
namespace {

void answer_in_depth(const Run& run) {
  AnswerPlan plan = chat_plan(run.prompts.verbose_distill, run,
                              instructions_for("verbose.answers", run.store));
  plan.title = "verbose";
  plan.requests = "verbose.answers";
  plan.pairs = "verbose.pairs";
  answer_all(plan, run.models.tuned("engraved"), run);
}

}  // namespace

AnswerPlan chat_plan(const ChatPrompt& prompt, const Run& run,
                     std::vector<store::Row> instructions) {
  AnswerPlan plan;
  plan.filter = kVerboseFilter;
  plan.instructions = std::move(instructions);
  plan.prefix = std::make_shared<const std::string>(prompt.prompt);
  plan.suffix_template = prompt.user + prompt.answer;
  plan.suffix = [&prompt](const std::string& instruction) {
    return chat_turn(prompt, instruction);
  };
  plan.sampling = run.recipe.verbose.sampling;
  plan.sampling.stop = prompt.stop;
  plan.frame = {trim(prompt.answer)};
  return plan;
}

void run_verbose(const Run& run) {
  if (!stage_done(run.store, "verbose.pairs")) answer_in_depth(run);
  tune_on_pairs({.pairs = "verbose.pairs",
                 .samples = "verbose.samples",
                 .adapter = "verbose.adapter",
                 .folder = "verbose",
                 .prompt = run.prompts.verbose,
                 .options = run.recipe.final},
                run);
}

}  // namespace selfalign::stages
