// SPDX-License-Identifier: Apache-2.0
#include "stages/refill.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "stages/align.h"
#include "stages/funnel.h"
#include "stages/instruct.h"

namespace selfalign::stages {
namespace {

constexpr int kMaxRounds = 4;
constexpr size_t kTypesPerRule = 3;
// Rows' worth of trust in a rule's share of all rows, against its type's own.
constexpr double kPriorRows = 5.0;
constexpr double kMinShare = 0.02;  // a rule that fires less is not asked more

// Share of rule r in each type of red-teaming, smoothed; in the prompts' order.
std::vector<double> shares_of(const PrincipleUse& use,
                              const recipe::Prompts& prompts, size_t r) {
  const double overall = (double(use.num_fired(r).kept) + 0.5) /
                         (double(use.num_rows().kept) + 1.0);
  std::vector<double> shares;
  for (const recipe::QuestionType& type : prompts.red_team.types) {
    const size_t t =
        size_t(std::find(use.types.begin(), use.types.end(), type.type) -
               use.types.begin());
    const bool known = t < use.types.size();
    const double fired = known ? double(use.fired[t][r].kept) : 0.0;
    const double rows = known ? double(use.rows[t].kept) : 0.0;
    shares.push_back((fired + kPriorRows * overall) / (rows + kPriorRows));
  }
  return shares;
}

// Types with the highest shares, the first of the prompts on a tie.
std::vector<size_t> best_types(const std::vector<double>& shares) {
  std::vector<size_t> order(shares.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return shares[a] > shares[b]; });
  order.resize(std::min(order.size(), kTypesPerRule));
  return order;
}

std::string lacking_rules(const PrincipleUse& use, int min_per_rule) {
  std::string text;
  for (size_t r = 0; r < use.rules.size(); ++r) {
    const int64_t fired = use.num_fired(r).kept;
    if (fired >= min_per_rule) continue;
    text += str(text.empty() ? "" : ", ", use.rules[r], " ", fired);
  }
  return text;
}

void recall(const Run& run, int round, InstructionFilters& filters) {
  filters.recall_tasks(run.store, "instruct.tasks");
  filters.recall_tasks(run.store, "redteam.questions");
  for (int earlier = 1; earlier < round; ++earlier) {
    filters.recall_tasks(run.store, refill_stages(earlier).questions);
  }
}

void run_round(const Run& run, int round, const RefillGoal& goal,
               int64_t max_requests) {
  const RefillStages stages = refill_stages(round);
  if (!stage_done(run.store, stages.questions)) {
    InstructionFilters filters(run);
    recall(run, round, filters);
    const int64_t at_most =
        max_requests * run.recipe.instruct.hints_per_request;
    write_questions(run, filters,
                    {stages.requests, stages.questions, "quota",
                     std::min(goal.num_questions, at_most), max_requests,
                     goal.weights, "refill.max_requests"});
  }
  AnswerPlan plan = stage_plan(run, kept_rows(run.store, stages.questions));
  plan.title = str("refill ", round);
  plan.requests = stages.answers;
  plan.pairs = stages.pairs;
  answer_all(plan, run.models.base(recipe::Role::kAlign), run);
}

}  // namespace

RefillGoal refill_goal(const PrincipleUse& use, const recipe::Prompts& prompts,
                       int min_per_rule) {
  RefillGoal goal;
  double sum = 0.0;
  for (size_t r = 0; r < use.rules.size(); ++r) {
    const int64_t lacking = min_per_rule - use.num_fired(r).kept;
    if (lacking <= 0) continue;
    const std::vector<double> shares = shares_of(use, prompts, r);
    for (const size_t t : best_types(shares)) {
      const double questions = double(lacking) / double(kTypesPerRule) /
                               std::max(shares[t], kMinShare);
      goal.weights[prompts.red_team.types[t].type] += questions;
      sum += questions;
    }
  }
  goal.num_questions = int64_t(std::ceil(sum));
  return goal;
}

void run_refill(const Run& run) {
  const recipe::RefillOptions& options = run.recipe.refill;
  if (options.min_per_rule == 0) return;
  if (!stage_done(run.store, "redteam.topics")) {
    log_warning("refill: without stage 1 there are no topics to ask about");
    return;
  }
  int64_t rest = options.max_requests;
  int round = 1;
  for (; round <= kMaxRounds && rest > 0; ++round) {
    const RefillStages stages = refill_stages(round);
    if (!stage_done(run.store, stages.pairs)) {
      const RefillGoal goal =
          refill_goal(principle_use(run.store, run.prompts, round), run.prompts,
                      options.min_per_rule);
      if (goal.num_questions == 0) break;
      // Half of what is left: the next round knows more.
      run_round(run, round, goal, round == kMaxRounds ? rest : (rest + 1) / 2);
    }
    rest -= run.store.manifest(stages.requests)->num_rows;
  }
  const std::string lacking = lacking_rules(
      principle_use(run.store, run.prompts, round), options.min_per_rule);
  if (!lacking.empty()) {
    log_warning(str("refill: rules with fewer than ", options.min_per_rule,
                    " kept answers: ", lacking,
                    "; raise refill.max_requests, or look at what the types "
                    "ask for"));
  }
}

}  // namespace selfalign::stages
