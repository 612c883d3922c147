#include "recipe/recipe_file.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/ranges.h"
#include "base/user_path.h"
#include "generate/remote.h"
#include "recipe/profile.h"
#include "recipe/recipe_unused.h"
#include "recipe/yaml.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;

constexpr int kMany = 100'000'000;

std::string resolve(const std::string& recipe_path, const std::string& path) {
  if (generate::is_remote_model(path)) return path;
  if (path.empty()) return path;
  const fs::path folder = fs::absolute(recipe_path).parent_path();
  std::string resolved = (folder / path).lexically_normal().string();
  while (resolved.size() > 1 && resolved.back() == '/') resolved.pop_back();
  return resolved;
}

template <typename Number>
void get(YamlMap& map, const char* key, Number& out,
         const Range<Number>& range) {
  map.get(key, out, range.low, range.high);
}

// A path, with the home folder in place of "~", or an address, which is shown
// nowhere where it holds a password.
void get_path(YamlMap& map, const std::string& key, std::string& out) {
  map.get(key, out);
  if (const auto flaw = generate::address_flaw(out)) {
    out.clear();
    return map.mistake(key, *flaw);
  }
  try {
    out = user_path(out);
  } catch (const Error& error) {
    map.mistake(key, error.what());
  }
}

void expand_all(YamlMap& map, const std::string& key,
                std::vector<std::string>& paths) {
  for (std::string& path : paths) {
    try {
      path = user_path(path);
    } catch (const Error& error) {
      map.mistake(key, error.what());
    }
  }
}

void read_sampling(YamlMap& stage, const char* key,
                   generate::Sampling& sampling) {
  YamlMap map = stage.map(key);
  get(map, "temperature", sampling.temperature, ranges::kTemperature);
  get(map, "top_p", sampling.top_p, ranges::kTopP);
  get(map, "max_new_tokens", sampling.max_new_tokens, ranges::kMaxNewTokens);
  get(map, "repetition_penalty", sampling.repetition_penalty,
      ranges::kRepetitionPenalty);
  map.get("ngram_penalty", sampling.ngram_penalty, ranges::kNgramPenalty.low,
          ranges::kNgramPenalty.high);
  map.get("ban_eos", sampling.ban_eos);
  if (sampling.ngram_penalty.size() > 4) {
    map.mistake("ngram_penalty", "expected at most 4 numbers");
  }
  map.done();
}

void read_model(YamlMap map, ModelOptions& model) {
  get_path(map.require("path"), "path", model.path);
  map.get("device", model.device,
          {ranges::kDevices.begin(), ranges::kDevices.end()});
  map.get("dtype", model.dtype,
          {ranges::kDtypes.begin(), ranges::kDtypes.end()});
  get(map, "num_slots", model.num_slots, ranges::kNumSlots);
  get(map, "max_context", model.max_context, ranges::kMaxContext);
  map.get("api", model.api, {"auto", "chat", "completions"});
  map.get("price_input", model.price.input, 0.0, 1e9);
  map.get("price_output", model.price.output, 0.0, 1e9);
  get_path(map, "api_key_file", model.api_key_file);
  for (const char* name :
       {"api", "price_input", "price_output", "api_key_file"}) {
    if (map.has(name) && !generate::is_remote_model(model.path)) {
      map.mistake(name, "only of a model behind a server (http://...)");
    }
  }
  map.done();
}

void read_instruct(YamlMap map, bool own_red_team, InstructOptions& instruct) {
  map.get("num_instructions", instruct.num_instructions, 0, kMany);
  map.get("num_red_team", instruct.num_red_team, 0, kMany);
  map.get("num_exemplars", instruct.num_exemplars, 1, 50);
  map.get("opening_words", instruct.opening_words, 0, 8);
  map.get("max_requests", instruct.max_requests, 1, kMany);
  get(map, "max_rouge_l", instruct.max_rouge_l, ranges::kRougeL);
  map.get("topics_per_type", instruct.topics_per_type, 0, 10000);
  map.get("topic_rounds", instruct.topic_rounds, 1, 20);
  map.get("num_machine_exemplars", instruct.num_machine_exemplars, 0, 50);
  map.get("balance", instruct.balance, {"quota", "smallest", "none"});
  map.get("hints_per_request", instruct.hints_per_request, 1, 50);
  map.get("shard_size", instruct.shard_size, 1, kMany);
  map.get("strict_form", instruct.strict_form);
  map.get("min_log_likelihood", instruct.min_log_likelihood, kNoLikelihood,
          0.0);
  read_sampling(map, "sampling", instruct.sampling);
  if (!own_red_team) {
    instruct.topic_sampling = instruct.sampling;
    instruct.question_sampling = instruct.sampling;
  }
  read_sampling(map, "topic_sampling", instruct.topic_sampling);
  read_sampling(map, "question_sampling", instruct.question_sampling);
  map.done();
}

void read_contamination(YamlMap map, ContaminationOptions& contamination) {
  map.get("sets", contamination.sets);
  expand_all(map, "sets", contamination.sets);
  get(map, "ngram_words", contamination.ngram_words, ranges::kNgramWords);
  get(map, "max_rouge_l", contamination.max_rouge_l, ranges::kRougeL);
  map.done();
}

void read_refill(YamlMap map, RefillOptions& refill) {
  map.get("min_per_rule", refill.min_per_rule, 0, kMany);
  map.get("max_requests", refill.max_requests, 1, kMany);
  map.done();
}

void read_tune(YamlMap map, TuneOptions& tune) {
  using namespace ranges;
  get(map, "rank", tune.rank, kRank);
  get(map, "alpha", tune.alpha, kAlpha);
  get(map, "dropout", tune.dropout, kDropout);
  get(map, "epochs", tune.epochs, kEpochs);
  get(map, "batch_size", tune.batch_size, kBatchSize);
  get(map, "max_length", tune.max_length, kMaxLength);
  get(map, "learning_rate", tune.learning_rate, kLearningRate);
  get(map, "warmup_steps", tune.warmup_steps, kWarmupSteps);
  get(map, "weight_decay", tune.weight_decay, kWeightDecay);
  get(map, "max_grad_norm", tune.max_grad_norm, kMaxGradNorm);
  get(map, "checkpoint_steps", tune.checkpoint_steps, kCheckpointSteps);
  map.get("seed", tune.seed);
  map.done();
}

void read_given(YamlMap map, GivenData& given) {
  get_path(map, "path", given.path);
  map.get("max_rows", given.max_rows, int64_t{0}, int64_t{kMany});
  map.done();
}

void read_comparison(YamlMap map, ComparisonOptions& comparison) {
  map.get("decoding", comparison.decoding, {"one", "own"});
  read_sampling(map, "sampling", comparison.sampling);
  map.done();
}

// The stages a recipe may name, in the order of the method.
const std::vector<std::string>& known_stages() {
  static const std::vector<std::string> stages = {"instruct", "align",
                                                  "engrave", "verbose", "tune"};
  return stages;
}

// False if a name is none of a stage.
bool read_stages(YamlMap& map, Recipe& recipe) {
  std::vector<std::string> named = recipe.stages;
  map.get("stages", named);
  recipe.stages.clear();
  for (const std::string& stage : known_stages()) {
    const auto times = std::count(named.begin(), named.end(), stage);
    if (times > 0) recipe.stages.push_back(stage);
    if (times > 1) map.mistake("stages", "expected " + stage + " once");
  }
  bool all_known = true;
  for (const std::string& name : named) {
    if (std::count(known_stages().begin(), known_stages().end(), name)) {
      continue;
    }
    all_known = false;
    map.mistake("stages", str("expected instruct, align, engrave, verbose or "
                              "tune, found \"",
                              name, "\"", did_you_mean(name, known_stages())));
  }
  return all_known;
}

// Each stage works on what an earlier one made, or on given data.
void check_stages(YamlMap& map, const Recipe& recipe) {
  const bool given = !recipe.instructions.path.empty();
  const auto need = [&](bool ok, const char* key, const char* text) {
    if (!ok) map.mistake(key, text);
  };
  need(!recipe.has("align") || recipe.has("instruct") || given, "stages",
       "align needs instructions: add instruct, or give them under "
       "instructions.path");
  need(!recipe.has("engrave") || recipe.has("align"), "stages",
       "engrave needs the answers of align: add it");
  need(!recipe.has("verbose") || recipe.has("engrave"), "stages",
       "verbose needs the model of engrave: add it");
  need(!recipe.has("tune") || recipe.stages.size() == 1, "stages",
       "tune stands alone: it trains the base on given data");
  need(!given || !recipe.has("instruct"), "instructions",
       "given instructions take the place of stage instruct: leave one out");
  need(!given || recipe.has("align"), "instructions",
       "instructions are given for stage align: add it, or leave them out");
  need(recipe.has("tune") != recipe.data.path.empty(), "data",
       "data.path and stage tune belong together: give both or neither");
  need(!generate::is_remote_model(recipe.model.path) ||
           !(recipe.has("engrave") || recipe.has("tune")),
       "stages",
       "engrave, verbose and tune train the model, which a server's cannot be: "
       "leave them out (stages: [instruct, align]) or give a model on this "
       "machine under model.path");
  need(!recipe.stages.empty() || recipe.num_held_out > 0, "num_held_out",
       "without stages the held-out answers are all there is: expected some");
}

void read_answers(YamlMap map, AnswerOptions& answers) {
  read_sampling(map, "sampling", answers.sampling);
  AnswerLimits& limits = answers.limits;
  map.get("min_gain", limits.min_gain, kNoThreshold, -kNoThreshold);
  map.get("max_repetition", limits.max_repetition, 0.0, 1.0);
  map.get("min_new_content", limits.min_new_content, 0.0, 1.0);
  map.get("need_end", limits.need_end);
  map.done();
}

// The published profiles have prompts and filters of their own.
void check_thresholds(YamlMap& map, const Recipe& recipe) {
  if (recipe.profile == "default") return;
  const auto refuse = [&](bool set, const char* stage, const char* key) {
    if (!set) return;
    map.mistake(stage, str(key,
                           " belongs to profile default: leave it out of "
                           "profile ",
                           recipe.profile));
  };
  refuse(recipe.instruct.opening_words > 0, "instruct", "opening_words");
  refuse(recipe.instruct.strict_form, "instruct", "strict_form");
  refuse(recipe.instruct.min_log_likelihood > kNoLikelihood, "instruct",
         "min_log_likelihood");
  const auto refuse_limits = [&](const AnswerLimits& of, const char* stage) {
    refuse(of.min_gain > kNoThreshold, stage, "min_gain");
    refuse(of.max_repetition < 1.0, stage, "max_repetition");
    refuse(of.min_new_content > 0.0, stage, "min_new_content");
    refuse(of.need_end, stage, "need_end");
  };
  refuse_limits(recipe.align.limits, "align");
  refuse_limits(recipe.verbose.limits, "verbose");
}

void check_recipe(YamlMap& map, const Recipe& recipe) {
  if (recipe.name.empty() || recipe.name.find('/') != std::string::npos ||
      recipe.name[0] == '.') {
    map.mistake("name",
                str("expected a plain name, found \"", recipe.name, "\""));
  }
  check_stages(map, recipe);
  check_thresholds(map, recipe);
  if (recipe.instruct.opening_words > 0 &&
      recipe.instruct.hints_per_request > 1) {
    map.mistake("instruct", "opening_words goes with hints_per_request of 1");
  }
  if (recipe.has("instruct") &&
      recipe.instruct.num_instructions + recipe.instruct.num_red_team == 0) {
    map.mistake("instruct", "expected num_instructions or num_red_team over 0");
  }
}

// Where the published scripts have another number than the paper's text, or
// than we have.
void use_published_settings(Recipe& recipe) {
  recipe.instruct.sampling.max_new_tokens = 1024;
  recipe.instruct.topic_sampling = recipe.instruct.sampling;
  recipe.instruct.topic_sampling.max_new_tokens = 128;
  recipe.instruct.question_sampling = recipe.instruct.sampling;
  recipe.instruct.question_sampling.top_p = 0.95;
  recipe.instruct.question_sampling.max_new_tokens = 384;
  recipe.instruct.topic_rounds = 6;  // of 9 made, the first 6 were used
  recipe.instruct.balance = "smallest";
  recipe.instruct.hints_per_request = 5;
  recipe.align.sampling.top_p = 0.95;
  recipe.verbose.sampling.repetition_penalty = 1.0;
  recipe.verbose.sampling.ngram_penalty = {0.0, 0.0, 1.0, 2.0};
  recipe.identity_share = 1.0;
  if (recipe.profile != "paper2") return;
  recipe.align.sampling.temperature = 0.7;
  recipe.align.sampling.max_new_tokens = 512;
  recipe.engrave.rank = 64;
  recipe.engrave.dropout = 0.0;
  recipe.engrave.batch_size = 128;
  recipe.engrave.max_length = 1024;
  recipe.engrave.learning_rate = 1e-4;
}

// Shortest decimal text that reads back to the same number.
void read_overlays(YamlMap& map, std::vector<std::string>& out) {
  const char* key = "prompts_overlay";
  if (!map.has(key)) return;
  if (map.node()[key].IsSequence()) {
    map.get(key, out);
  } else {
    std::string one;
    map.get(key, one);
    if (!one.empty()) out = {one};
  }
  if (std::find(out.begin(), out.end(), "") != out.end()) {
    map.mistake(key, "expected folders, found an empty name");
  }
  expand_all(map, key, out);
}

}  // namespace

Recipe read_recipe(const std::string& path) {
  YamlMistakes mistakes(path);
  // Of a run: every key is in it, unless the run is older than the key.
  const bool resolved = fs::path(path).filename() == kRecipeFile + 1;
  YamlMap map(load_yaml(path, !resolved), "", mistakes);
  Recipe recipe = default_recipe();
  recipe.name = fs::path(path).stem().string();
  map.get("name", recipe.name);
  get_path(map, "run_folder", recipe.run_folder);
  map.get("profile", recipe.profile, profile_names());
  const bool published = recipe.profile != "default";
  if (published) use_published_settings(recipe);
  const Recipe defaults = recipe;
  map.get("seed", recipe.seed);
  const bool all_known = read_stages(map, recipe);
  map.require("model");
  read_model(map.map("model"), recipe.model);
  get_path(map.require("prompts_folder"), "prompts_folder",
           recipe.prompts_folder);
  read_overlays(map, recipe.prompts_overlay);
  read_given(map.map("instructions"), recipe.instructions);
  read_instruct(map.map("instruct"), published, recipe.instruct);
  read_contamination(map.map("contamination"), recipe.contamination);
  read_answers(map.map("align"), recipe.align);
  read_refill(map.map("refill"), recipe.refill);
  read_tune(map.map("engrave"), recipe.engrave);
  read_answers(map.map("verbose"), recipe.verbose);
  read_tune(map.map("final"), recipe.final);
  read_given(map.map("data"), recipe.data);
  read_tune(map.map("tune"), recipe.tune);
  map.get("identity_repeats", recipe.identity_repeats, 0, 1000);
  // A run that was begun before there was a limit goes on without one.
  if (resolved) recipe.identity_share = 1.0;
  map.get("identity_share", recipe.identity_share, 0.0, 1.0);
  map.get("num_held_out", recipe.num_held_out, 0, 10000);
  if (resolved && !map.has("comparison")) recipe.comparison.decoding = "own";
  read_comparison(map.map("comparison"), recipe.comparison);
  check_recipe(map, recipe);
  if (all_known && !resolved) {
    check_unused(map.node(), recipe, defaults, mistakes);
  }
  map.done();
  mistakes.throw_if_any();
  recipe.model.path = resolve(path, recipe.model.path);
  recipe.model.api_key_file = resolve(path, recipe.model.api_key_file);
  recipe.prompts_folder = resolve(path, recipe.prompts_folder);
  for (std::string& set : recipe.contamination.sets) set = resolve(path, set);
  for (std::string& overlay : recipe.prompts_overlay) {
    overlay = resolve(path, overlay);
  }
  recipe.instructions.path = resolve(path, recipe.instructions.path);
  recipe.data.path = resolve(path, recipe.data.path);
  recipe.run_folder =
      recipe.run_folder.empty()
          ? fs::absolute("runs/" + recipe.name).lexically_normal().string()
          : resolve(path, recipe.run_folder);
  return recipe;
}

}  // namespace selfalign::recipe
