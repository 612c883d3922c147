// SPDX-License-Identifier: Apache-2.0
#include "stages/stage_table.h"

#include "base/error.h"

namespace selfalign::stages {
namespace {

using recipe::Recipe;

constexpr char kPrincipled[] = "align.yaml, principles.yaml, exemplars.yaml";
constexpr char kRedTeam[] = "red_team.yaml";
constexpr char kEngraved[] = "meta.yaml (engraved)";

std::vector<Stage> instruction_stages() {
  const std::vector<std::string> answering = {"align.answers",
                                              "verbose.answers"};
  return {
      {"given.instructions",
       StageKind::kGiven,
       "given instructions",
       {},
       answering},
      {"given.conversations", StageKind::kGiven, "given conversations", {}},
      {"instruct.seeds", StageKind::kGiven, "seed tasks", {}},
      {.name = "instruct.requests",
       .kind = StageKind::kRequests,
       .title = "requests for instructions",
       .parents = {"instruct.seeds", "instruct.tasks"},
       .prompt_files = "self_instruct.yaml",
       .sampling = [](const Recipe& r) { return r.instruct.sampling; }},
      {"instruct.tasks",
       StageKind::kItems,
       "instructions (Self-Instruct)",
       {"instruct.requests"},
       answering},
      {"redteam.seeds", StageKind::kGiven, "seed topics", {}},
      {.name = "redteam.topic_requests",
       .kind = StageKind::kRequests,
       .title = "requests for topics",
       .parents = {"redteam.seeds"},
       .prompt_files = kRedTeam,
       .sampling = [](const Recipe& r) { return r.instruct.topic_sampling; }},
      {"redteam.topics",
       StageKind::kItems,
       "red-team topics",
       {"redteam.topic_requests", "redteam.seeds"}},
      {.name = "redteam.requests",
       .kind = StageKind::kRequests,
       .title = "requests for questions",
       .parents = {"redteam.topics"},
       .prompt_files = kRedTeam,
       .sampling =
           [](const Recipe& r) { return r.instruct.question_sampling; }},
      {"redteam.questions",
       StageKind::kItems,
       "red-team questions",
       {"redteam.requests"},
       answering}};
}

// Stage 2 and refills.
std::vector<Stage> aligning_stages() {
  const std::vector<std::string> instructions = {
      "instruct.tasks", "redteam.questions", "given.instructions"};
  return {{.name = "align.answers",
           .kind = StageKind::kAnswers,
           .title = "answers under the principles",
           .parents = instructions,
           .deciders = {"engrave.samples"},
           .prompt_files = kPrincipled,
           .sampling = [](const Recipe& r) { return r.align.sampling; },
           .has_thoughts = true},
          {"align.pairs",
           StageKind::kPairs,
           "pairs of stage 2",
           {"align.answers"},
           {"engrave.samples"}},
          {.name = "refill.N.requests",
           .kind = StageKind::kRequests,
           .title = "requests for questions of a refill",
           .parents = {"redteam.topics"},
           .prompt_files = kRedTeam,
           .sampling =
               [](const Recipe& r) { return r.instruct.question_sampling; }},
          {"refill.N.questions",
           StageKind::kItems,
           "questions of a refill",
           {"refill.N.requests"}},
          {.name = "refill.N.answers",
           .kind = StageKind::kAnswers,
           .title = "answers of a refill",
           .parents = {"refill.N.questions"},
           .prompt_files = kPrincipled,
           .sampling = [](const Recipe& r) { return r.align.sampling; },
           .has_thoughts = true},
          {"refill.N.pairs",
           StageKind::kPairs,
           "pairs of a refill",
           {"refill.N.answers"}}};
}

// Stages 3 and 4, and tuning on given data.
std::vector<Stage> tuning_stages() {
  return {
      {"engrave.samples",
       StageKind::kSamples,
       "samples of stage 3",
       {"align.pairs", "refill.N.pairs"}},
      {"engrave.adapter",
       StageKind::kAdapter,
       "tuning of stage 3",
       {"engrave.samples"}},
      {.name = "verbose.answers",
       .kind = StageKind::kAnswers,
       .title = "long answers",
       .parents = {"instruct.tasks", "redteam.questions", "given.instructions",
                   "refill.N.questions", "verbose.identity"},
       .deciders = {"verbose.samples"},
       .prompt_files = "meta.yaml (verbose_distill)",
       .sampling = [](const Recipe& r) { return r.verbose.sampling; }},
      {"verbose.identity", StageKind::kGiven, "questions about itself", {}},
      {"verbose.pairs",
       StageKind::kPairs,
       "pairs of stage 4",
       {"verbose.answers"},
       {"verbose.samples"}},
      {"verbose.samples",
       StageKind::kSamples,
       "samples of stage 4",
       {"verbose.pairs"}},
      {"verbose.adapter",
       StageKind::kAdapter,
       "tuning of stage 4",
       {"verbose.samples"}},
      {"tune.samples",
       StageKind::kSamples,
       "samples of the tuning",
       {"given.conversations"}},
      {"tune.adapter",
       StageKind::kAdapter,
       "tuning on given data",
       {"tune.samples"}}};
}

std::vector<Stage> held_out_stages() {
  std::vector<Stage> stages = {
      {"held_out.questions", StageKind::kGiven, "held-out instructions", {}}};
  for (const Variant& variant : variants()) {
    const std::string of = "held_out." + variant.name + ".";
    stages.push_back({.name = of + "answers",
                      .kind = StageKind::kAnswers,
                      .title = "held-out answers, " + variant.title,
                      .parents = {"held_out.questions"},
                      .prompt_files = variant.prompt_files,
                      .sampling =
                          [name = variant.name](const Recipe& recipe) {
                            return variant_sampling(recipe, name);
                          },
                      .has_thoughts = variant.name == "prompted"});
    stages.push_back({of + "pairs",
                      StageKind::kPairs,
                      "held-out pairs, " + variant.title,
                      {of + "answers"}});
  }
  for (const char* name : {"base", "engraved"}) {
    stages.push_back({str("held_out.", name, ".loss"),
                      StageKind::kLoss,
                      str("loss on the prompted base's answers, ", name),
                      {"held_out.prompted.pairs"}});
  }
  return stages;
}

// "refill.N.answers" of "refill.2.answers".
std::string entry_name(const std::string& stage) {
  if (!stage.starts_with("refill.")) return stage;
  return "refill.N" + stage.substr(stage.rfind('.'));
}

}  // namespace

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"base", "base, plain", "base model", "none", "", "", ""},
      {"short", "base, short prompt", "base under the short prompt", kEngraved,
       "", "", ""},
      {"prompted", "base, principles prompt", "base under the principles",
       kPrincipled, "", "", ""},
      {"engraved", "engraved", "principles engraved (stage 3)", kEngraved,
       "engraved", "engrave.adapter", "engraved", &Recipe::engrave},
      {"verbose", "verbose", "verbose (stage 4)", "meta.yaml (verbose)",
       "verbose", "verbose.adapter", "final", &Recipe::final},
      {"tuned", "tuned on given data", "tuned on given data",
       "meta.yaml (tuned)", "tuned", "tune.adapter", "tuned", &Recipe::tune}};
  return all;
}

const Variant* find_variant(const std::string& name) {
  for (const Variant& variant : variants()) {
    if (variant.name == name) return &variant;
  }
  return nullptr;
}

std::vector<std::string> compared_variants(const Recipe& recipe) {
  if (recipe.has("tune")) return {"base", "tuned"};
  std::vector<std::string> names = {"base", "prompted"};
  if (recipe.has("engrave")) names.emplace_back("engraved");
  if (recipe.has("verbose")) names.emplace_back("verbose");
  names.emplace_back("short");
  return names;
}

generate::Sampling variant_sampling(const Recipe& recipe,
                                    const std::string& variant) {
  if (recipe.comparison.decoding == "one") return recipe.comparison.sampling;
  return variant == "verbose" ? recipe.verbose.sampling : recipe.align.sampling;
}

const std::vector<Stage>& stage_table() {
  static const std::vector<Stage> all = [] {
    std::vector<Stage> stages = instruction_stages();
    for (auto more : {aligning_stages(), tuning_stages(), held_out_stages()}) {
      for (Stage& stage : more) stages.push_back(std::move(stage));
    }
    return stages;
  }();
  return all;
}

const Stage* find_stage(const std::string& name) {
  const std::string entry = entry_name(name);
  for (const Stage& stage : stage_table()) {
    if (stage.name == entry) return &stage;
  }
  return nullptr;
}

std::string stage_title(const std::string& name) {
  const Stage* stage = find_stage(name);
  return stage ? stage->title : name;
}

RefillStages refill_stages(int round) {
  const std::string name = str("refill.", round, ".");
  return {name + "requests", name + "questions", name + "answers",
          name + "pairs"};
}

std::string unrefilled(const std::string& stage) {
  if (!stage.starts_with("refill.")) return stage;
  const std::string kind = stage.substr(stage.rfind('.') + 1);
  const bool is_question = kind == "requests" || kind == "questions";
  return (is_question ? "redteam." : "align.") + kind;
}

}  // namespace selfalign::stages
