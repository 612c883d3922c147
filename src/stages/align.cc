#include "stages/align.h"

#include "stages/funnel.h"
#include "stages/instruct.h"

namespace selfalign::stages {

AnswerPlan align_plan(const Run& run, std::vector<store::Row> instructions) {
  const Prompts& prompts = run.prompts;
  AnswerPlan plan;
  plan.title = "align";
  plan.requests = "align.answers";
  plan.pairs = "align.pairs";
  plan.filter = kAlignFilter;
  plan.instructions = std::move(instructions);
  plan.prefix = std::make_shared<const std::string>(align_prefix(prompts));
  plan.suffix_template = prompts.align.suffix;
  plan.suffix = [&prompts](const std::string& instruction) {
    return align_suffix(prompts, instruction);
  };
  plan.sampling = run.recipe.align.sampling;
  plan.sampling.stop = prompts.align.stop;
  plan.split = [&align = prompts.align](const std::string& text) {
    return split_thought(text, align.answer_tag,
                         {align.user_tag, align.thought_tag, align.answer_tag});
  };
  plan.rules = [names = principle_names(prompts)](const std::string& thought) {
    return find_rules(thought, names);
  };
  for (const Exemplar& exemplar : prompts.exemplars) {
    for (const ExemplarTurn& turn : exemplar.turns) {
      plan.exemplars.push_back(turn.answer);
    }
  }
  plan.frame = {prompts.align.thought_tag, prompts.align.answer_tag};
  return plan;
}

void run_align(const Run& run) {
  if (stage_done(run.store, "align.pairs")) return;
  answer_all(align_plan(run, instructions_for("align.answers", run.store)),
             run.models.base(), run);
}

}  // namespace selfalign::stages
