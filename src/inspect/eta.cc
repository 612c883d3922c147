// SPDX-License-Identifier: Apache-2.0
#include "inspect/eta.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/own_file.h"
#include "recipe/profile.h"
#include "recipe/run_files.h"
#include "stages/funnel.h"
#include "stages/given.h"
#include "stages/held_out.h"
#include "stages/instructions.h"
#include "stages/row_reading.h"
#include "stages/stage_table.h"
#include "stages/work.h"

namespace selfalign::inspect {
namespace {

namespace fs = std::filesystem;
using store::Reader;

// A step before anything of it is known.
struct StepPlan {
  std::string step = {};
  std::string unit = {};
  int64_t total = 0;
  bool at_most = false;       // `total` is a bound
  bool grows = false;         // `total` is a guess, and may be too few
  std::string requests = {};  // stage whose completions show life; "": tuning
  std::string results = {};   // stage whose kept rows are the units; "": rows
  std::string samples = {};   // of a tuning: its stages, folder and epochs
  std::string adapter = {};
  std::string folder = {};
  int64_t epochs = 0;
  int64_t identity = 0;  // of `total`: self-identification rows
  int64_t batch_size = 1;
  int64_t tokens_per_unit = 0;  // at most
};

// Where topics grow in rounds: as if every request brought a whole list of new
// topics. A round begins with as many of each type as the smallest has.
int64_t most_topic_requests(const recipe::Recipe& recipe,
                            const recipe::Prompts& prompts) {
  int64_t num_types = 0;
  int64_t of_type = INT64_MAX;
  for (const recipe::QuestionType& type : prompts.red_team.types) {
    if (type.topics.empty()) continue;
    ++num_types;
    of_type = std::min(of_type, int64_t(type.topics.size()));
  }
  const int64_t limit = recipe.instruct.max_requests;
  int64_t count = 0;
  for (int round = 0; round < recipe.instruct.topic_rounds; ++round) {
    if (num_types == 0 || of_type > (limit - count) / num_types) {
      return num_types == 0 ? 0 : limit;
    }
    count += num_types * of_type;
    of_type *= prompts.red_team.num_topics;
  }
  return count;
}

bool grows_as_published(const recipe::Recipe& recipe) {
  return recipe.profile != "default" && recipe.instruct.topic_rounds > 1;
}

// Else as if every topic that is listed were new.
int64_t num_topic_requests(const recipe::Recipe& recipe,
                           const recipe::Prompts& prompts) {
  if (recipe.instruct.num_red_team == 0) return 0;
  if (grows_as_published(recipe)) return most_topic_requests(recipe, prompts);
  int64_t count = 0;
  for (const recipe::QuestionType& type : prompts.red_team.types) {
    const int64_t per_request = std::max<int64_t>(
        1, prompts.red_team.num_topics - int64_t(type.topics.size()));
    count += (recipe.instruct.topics_per_type + per_request - 1) / per_request;
  }
  return count;
}

void plan_instruct(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
                   std::vector<StepPlan>& plans) {
  const recipe::InstructOptions& instruct = recipe.instruct;
  const int64_t tokens = instruct.sampling.max_new_tokens;
  plans.push_back({.step = "instruct",
                   .unit = "instructions",
                   .total = instruct.num_instructions,
                   .requests = "instruct.requests",
                   .results = "instruct.tasks",
                   .tokens_per_unit = tokens});
  plans.push_back({.step = "red-team topics",
                   .unit = "rows",
                   .total = num_topic_requests(recipe, prompts),
                   .at_most = grows_as_published(recipe),
                   .grows = true,
                   .requests = "redteam.topic_requests",
                   .tokens_per_unit = tokens});
  plans.push_back({.step = "red-team questions",
                   .unit = "questions",
                   .total = instruct.num_red_team,
                   .requests = "redteam.requests",
                   .results = "redteam.questions",
                   .tokens_per_unit = tokens / instruct.hints_per_request});
}

// Part of the name of a stage, and of the recipe: "align" of "align.answers".
std::string first_part(const std::string& stage) {
  return stage.substr(0, stage.find('.'));
}

StepPlan plan_answers(const std::string& step, const std::string& stage,
                      int64_t total, const generate::Sampling& sampling) {
  return {.step = step,
          .unit = "rows",
          .total = total,
          .requests = stage,
          .tokens_per_unit = sampling.max_new_tokens};
}

// `stage` is the first part of the stages' names: "engrave".
StepPlan plan_tuning(const std::string& step, const std::string& stage,
                     const std::string& folder, const TuneOptions& tune,
                     int64_t num_samples, int64_t num_identity = 0) {
  return {.step = step,
          .unit = "samples",
          .total = (num_samples + num_identity) * tune.epochs,
          .samples = stage + ".samples",
          .adapter = stage + ".adapter",
          .folder = folder,
          .epochs = tune.epochs,
          .identity = num_identity * tune.epochs,
          .batch_size = tune.batch_size,
          .tokens_per_unit = tune.max_length};
}

// What a recipe is expected to make: before a stage has run, what the one
// before it gave it.
struct Expected {
  int64_t num_instructions = 0;
  double kept = 1.0;              // share of the answers that become pairs
  int64_t num_conversations = 0;  // of given data
};

void plan_held_out(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
                   std::vector<StepPlan>& plans) {
  const int64_t num_held_out =
      std::min<int64_t>(recipe.num_held_out, int64_t(prompts.held_out.size()));
  for (const std::string& variant : stages::compared_variants(recipe)) {
    plans.push_back(
        plan_answers("held-out, " + variant, "held_out." + variant + ".answers",
                     num_held_out, stages::variant_sampling(recipe, variant)));
  }
}

// The engraved model is asked about itself, or the rows are used again.
bool asks_identity(const recipe::Recipe& recipe) {
  return !recipe::profile_named(recipe.profile).repeats_identity;
}

// Rows of a stage of instructions, answers or pairs.
int64_t num_expected(const std::string& name, const recipe::Recipe& recipe,
                     const recipe::Prompts& prompts, const Expected& expected) {
  if (name == "instruct.tasks")
    return expected.num_instructions;  // all of them
  if (name == "verbose.identity" && asks_identity(recipe)) {
    return int64_t(prompts.identity.size()) * recipe.identity_repeats;
  }
  const stages::Stage& stage = *stages::find_stage(name);
  const bool is_pairs = stage.kind == stages::StageKind::kPairs;
  int64_t sum = 0;
  if (recipe.has(first_part(name)) &&
      (is_pairs || stage.kind == stages::StageKind::kAnswers)) {
    for (const std::string& parent : stage.parents) {
      sum += num_expected(parent, recipe, prompts, expected);
    }
  }
  return is_pairs ? std::llround(expected.kept * double(sum)) : sum;
}

StepPlan plan_adapter(const std::string& stage, const recipe::Recipe& recipe,
                      const recipe::Prompts& prompts,
                      const Expected& expected) {
  if (stage == "tune.adapter") {
    return plan_tuning("tune", "tune", "tuned", recipe.tune,
                       expected.num_conversations);
  }
  const bool is_final = stage == "verbose.adapter";
  const bool asked = is_final && asks_identity(recipe);
  const int64_t num_pairs = num_expected(
      asked ? "verbose.pairs" : "align.pairs", recipe, prompts, expected);
  const int64_t num_identity =
      asked ? 0
            : recipe.num_identity(int64_t(prompts.identity.size()), num_pairs);
  return is_final ? plan_tuning("final tuning", "verbose", "verbose",
                                recipe.final, num_pairs, num_identity)
                  : plan_tuning("engrave", "engrave", "engraved",
                                recipe.engrave, num_pairs, num_identity);
}

// All steps of a recipe.
std::vector<StepPlan> plan_run(const recipe::Recipe& recipe,
                               const recipe::Prompts& prompts,
                               const Expected& expected) {
  std::vector<StepPlan> plans;
  if (recipe.has("instruct")) plan_instruct(recipe, prompts, plans);
  for (const stages::Stage& stage : stages::stage_table()) {
    const std::string part = first_part(stage.name);
    if (!recipe.has(part)) continue;
    if (stage.kind == stages::StageKind::kAnswers) {
      plans.push_back(plan_answers(
          part, stage.name, num_expected(stage.name, recipe, prompts, expected),
          stage.sampling(recipe)));
    } else if (stage.kind == stages::StageKind::kAdapter) {
      plans.push_back(plan_adapter(stage.name, recipe, prompts, expected));
    }
  }
  plan_held_out(recipe, prompts, plans);
  return plans;
}

// Rows that a file of given data is expected to give; 0: not known yet.
int64_t num_given(const recipe::GivenData& given) {
  return given.path.empty() ? 0 : given.max_rows;
}

// What the recipe asks for, given files aside.
int64_t num_made(const recipe::Recipe& recipe) {
  if (!recipe.has("instruct")) return 0;
  return int64_t{recipe.instruct.num_instructions} +
         recipe.instruct.num_red_team;
}

// The recipe's numbers; files are not read.
Expected expected_of(const recipe::Recipe& recipe) {
  Expected expected;
  expected.num_instructions = num_made(recipe) + num_given(recipe.instructions);
  expected.num_conversations = num_given(recipe.data);
  return expected;
}

// The same with the rows of given files counted, which takes a while.
Expected counted(const recipe::Recipe& recipe) {
  Expected expected;
  expected.num_instructions =
      num_made(recipe) + stages::count_instructions(recipe.instructions);
  expected.num_conversations = stages::count_conversations(recipe.data);
  return expected;
}

double mtime_s(const std::string& path) {
  std::error_code problem;
  const auto time = fs::last_write_time(path, problem);
  if (problem) return 0.0;
  const auto system = std::chrono::file_clock::to_sys(time);
  return std::chrono::duration<double>(system.time_since_epoch()).count();
}

// The recipe's numbers, and what the run has made of them so far.
Expected expected_of(const recipe::Recipe& recipe, const Reader& store) {
  Expected expected = expected_of(recipe);
  const char* const last = recipe.instructions.path.empty()
                               ? "redteam.questions"
                               : stages::kGivenInstructions;
  if (stages::stage_done(store, last)) {
    expected.num_instructions = stages::num_kept_instructions(store);
  }
  if (const auto given = store.manifest(stages::kGivenConversations)) {
    expected.num_conversations = given->num_kept;
  }
  const int64_t answered = store.num_completions("align.answers");
  if (answered > 0) {
    expected.kept = double(store.num_rows("align.pairs")) / double(answered);
  }
  return expected;
}

void read_generation(const Reader& store, const std::string& profile,
                     const StepPlan& plan, StepEta& eta) {
  const store::Activity all = store.activity(plan.requests);
  eta.num_tokens = all.num_tokens;
  eta.last_s = all.last_s;
  eta.finished = stages::stage_done(store, plan.requests);
  eta.done = all.num_completions;
  if (!plan.results.empty()) {
    const std::string filter = stages::filter_of(store, plan.results, profile);
    eta.done =
        filter.empty()
            ? 0
            : store.account(plan.results, filter, store.num_rows(plan.results))
                  .num_kept;
    eta.finished = eta.finished && stages::stage_done(store, plan.results);
  }
  if (plan.grows) eta.total = std::max(eta.total, eta.done);
  if (plan.grows && eta.finished) eta.total = eta.done;
  const auto work = stages::work_of(store, plan.requests);
  if (!work) return;
  // A part that was made before there was a clock leaves the whole unknown.
  if (work->num_completions + work->num_taken >= all.num_completions) {
    eta.num_tokens = work->num_tokens;
    eta.seconds = work->seconds;
  }
  if (work->seconds <= 0.0) return;
  const double per_request =
      double(eta.done) / double(std::max<int64_t>(all.num_completions, 1));
  eta.tokens_per_s = double(work->num_tokens) / work->seconds;
  eta.units_per_s = double(work->num_completions) / work->seconds * per_request;
}

struct TunedStep {
  int64_t num_tokens = 0;
  double seconds = 0.0;
};

// Of a tuning's metrics.jsonl; a line that is cut off ends it, and none is
// there before the first step.
std::vector<TunedStep> read_metrics(const std::string& path) {
  std::vector<TunedStep> steps;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return steps;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    try {
      const Json json = parse_json(line, path);
      const double rate = json_number(json, "tokens_per_s", path);
      const int64_t tokens = json_int(json, "num_tokens", path);
      steps.push_back({tokens, rate > 0.0 ? double(tokens) / rate : 0.0});
    } catch (const Error&) {
      break;
    }
  }
  return steps;
}

void read_tuning(const Reader& store, const StepPlan& plan, StepEta& eta) {
  eta.is_tuning = true;
  eta.finished = stages::stage_done(store, plan.adapter);
  if (const int64_t samples = store.num_rows(plan.samples)) {
    eta.total = samples * plan.epochs;
  }
  const std::string name = plan.folder + "/metrics.jsonl";
  require_own_path(store.folder(), name);
  const std::string path = store.folder() + "/" + name;
  const std::vector<TunedStep> steps = read_metrics(path);
  eta.done = eta.finished
                 ? eta.total
                 : std::min(eta.total, int64_t(steps.size()) * plan.batch_size);
  if (steps.empty()) return;
  eta.seconds = 0.0;
  for (const TunedStep& step : steps) {
    eta.seconds += step.seconds;
    eta.num_tokens += step.num_tokens;
  }
  eta.last_s = mtime_s(path);
  if (eta.seconds <= 0.0) return;
  eta.tokens_per_s = double(eta.num_tokens) / eta.seconds;
  eta.units_per_s =
      double(int64_t(steps.size()) * plan.batch_size) / eta.seconds;
}

// Time to go of each step that is not finished: at its own rate, else at that
// of the last step of its kind.
void expect(const std::vector<StepPlan>& plans, std::vector<StepEta>& steps) {
  double tokens_per_s[2] = {0.0, 0.0};  // generation, tuning
  for (const StepEta& step : steps) {
    if (step.tokens_per_s > 0.0)
      tokens_per_s[step.is_tuning] = step.tokens_per_s;
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    StepEta& step = steps[i];
    const double left = double(std::max<int64_t>(step.total - step.done, 0));
    if (step.finished || left == 0.0) {
      step.left_s = 0.0;
    } else if (step.units_per_s > 0.0) {
      step.left_s = left / step.units_per_s;
    } else if (tokens_per_s[step.is_tuning] > 0.0) {
      step.left_s = left * double(plans[i].tokens_per_unit) /
                    tokens_per_s[step.is_tuning];
    }
  }
}

// Characters of an identity row to those of a sample of the small run: their
// shares of the work are about as their lengths.
double identity_weight(const recipe::Prompts& prompts, const StepPlan& plan,
                       const Reader& store) {
  const auto mean = [](double sum, size_t count) {
    return count > 0 ? sum / double(count) : 0.0;
  };
  double identity = 0.0;
  for (const recipe::IdentityRow& row : prompts.identity) {
    identity += double(row.question.size() + row.answer.size());
  }
  const std::vector<store::Row> samples = store.rows(plan.samples);
  double others = 0.0;
  for (const store::Row& row : samples) {
    for (const char* name : {"instruction", "response"}) {
      others +=
          double(json_string_or(row.content, name, plan.samples, "").size());
    }
  }
  others = mean(others, samples.size());
  return others > 0.0 ? mean(identity, prompts.identity.size()) / others : 1.0;
}

}  // namespace

RunEta run_eta(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
               const Reader& store) {
  RunEta eta;
  const std::vector<StepPlan> plans =
      plan_run(recipe, prompts, expected_of(recipe, store));
  for (const StepPlan& plan : plans) {
    StepEta step;
    step.step = plan.step;
    step.unit = plan.unit;
    step.total = plan.total;
    step.at_most = plan.at_most;
    if (plan.requests.empty()) {
      read_tuning(store, plan, step);
    } else {
      read_generation(store, recipe.profile, plan, step);
    }
    eta.last_s = std::max(eta.last_s, step.last_s);
    eta.steps.push_back(std::move(step));
  }
  expect(plans, eta.steps);
  eta.done = stages::run_done(store);
  for (const StepEta& step : eta.steps) {
    if (step.left_s < 0.0) {
      eta.all_known = false;
    } else if (!eta.done) {
      eta.left_s += step.left_s;
    }
  }
  eta.writer = Reader::writer_of(store.folder());
  return eta;
}

std::vector<StepForecast> forecast(const recipe::Recipe& recipe,
                                   const recipe::Prompts& prompts,
                                   const RunEta& small,
                                   const store::Reader& store) {
  Expected expected = counted(recipe);
  // The share of answers that the small run kept, out of its samples.
  int64_t answered = 0;
  for (const StepEta& step : small.steps) {
    if (step.step == "align") answered = step.done;
    if (step.step == "engrave" && answered > 0) {
      expected.kept = std::min(double(step.total) / double(answered), 1.0);
    }
  }
  const std::vector<StepPlan> plans = plan_run(recipe, prompts, expected);
  std::vector<StepForecast> forecasts;
  for (size_t i = 0; i < plans.size() && i < small.steps.size(); ++i) {
    const StepEta& step = small.steps[i];
    const StepPlan& plan = plans[i];
    StepForecast one{plan.step, plan.unit, plan.total};
    if (step.done > 0) {
      const double others = double(plan.total - plan.identity);
      const double weight =
          plan.identity > 0 ? identity_weight(prompts, plan, store) : 0.0;
      const double share =
          (others + weight * double(plan.identity)) / double(step.done);
      one.tokens = double(step.num_tokens) * share;
      one.seconds = std::max(step.seconds, 0.0) * share;
    }
    forecasts.push_back(std::move(one));
  }
  return forecasts;
}

}  // namespace selfalign::inspect
