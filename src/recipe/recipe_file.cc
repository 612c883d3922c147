// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe_file.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/joined.h"
#include "base/shown.h"
#include "base/user_path.h"
#include "generate/remote.h"
#include "recipe/profile.h"
#include "recipe/recipe_unused.h"
#include "recipe/yaml.h"
#include "text/words.h"

namespace selfalign::recipe {
namespace {

namespace fs = std::filesystem;

std::string resolve(const std::string& recipe_path, const std::string& path) {
  if (generate::is_remote_model(path)) return path;
  if (path.empty()) return path;
  const fs::path folder = fs::absolute(recipe_path).parent_path();
  std::string resolved = (folder / path).lexically_normal().string();
  while (resolved.size() > 1 && resolved.back() == '/') resolved.pop_back();
  return resolved;
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

// False if a name is none of a stage.
bool read_stages(YamlMap& map, const char* key,
                 std::vector<std::string>& stages) {
  std::vector<std::string> named = stages;
  map.get(key, named);
  stages.clear();
  for (const std::string& stage : stage_names()) {
    const auto times = std::count(named.begin(), named.end(), stage);
    if (times > 0) stages.push_back(stage);
    if (times > 1) map.mistake(key, "expected " + stage + " once");
  }
  bool all_known = true;
  for (const std::string& name : named) {
    if (std::count(stage_names().begin(), stage_names().end(), name)) {
      continue;
    }
    all_known = false;
    map.mistake(
        key, str("expected ", either(stage_names()), ", found \"", shown(name),
                 "\"", text::did_you_mean(name, stage_names())));
  }
  return all_known;
}

// One text or a list of them.
void get_texts(YamlMap& map, const char* key, std::vector<std::string>& out) {
  if (map.node()[key].IsSequence()) {
    map.get(key, out);
    return;
  }
  std::string one;
  map.get(key, one);
  if (!one.empty()) out = {one};
}

// One path or a list of them.
void get_paths(YamlMap& map, const char* key, std::vector<std::string>& out) {
  if (!map.has(key)) return;
  get_texts(map, key, out);
  if (std::find(out.begin(), out.end(), "") != out.end()) {
    map.mistake(key, "expected paths, found an empty one");
  }
  for (std::string& path : out) {
    if (const auto flaw = generate::address_flaw(path)) {
      path.clear();
      map.mistake(key, *flaw);
      continue;
    }
    try {
      path = user_path(path);
    } catch (const Error& error) {
      map.mistake(key, error.what());
    }
  }
}

// One name or a list of them, out of `choices`.
void get_names(YamlMap& map, const char* key, std::vector<std::string>& out,
               const std::vector<std::string>& choices) {
  if (!map.has(key)) return;
  get_texts(map, key, out);
  if (out.empty()) map.mistake(key, "expected a name, found none");
  for (const std::string& name : out) {
    if (std::find(choices.begin(), choices.end(), name) != choices.end()) {
      continue;
    }
    map.mistake(key, str("expected ", joined(choices), ", found \"",
                         shown(name), "\"", text::did_you_mean(name, choices)));
  }
}

// Reads settings from a mapping (base/settings.h).
class Reader {
 public:
  // `follows`: a sampling that the file is silent on is that of its stage.
  Reader(YamlMap& map, bool follows) : map_(map), follows_(follows) {}

  bool knows_all_stages() const { return all_known_; }

  template <typename Number>
  void operator()(const Setting& of, Number& value,
                  const Range<Number>& range) {
    map_.get(of.key, value, range.low, range.high);
  }
  template <typename Value>
  void operator()(const Setting& of, Value& value, AnyValue /*limits*/) {
    map_.get(of.key, value);
  }
  void operator()(const Setting& of, std::string& text, AnyText /*limits*/) {
    map_.get(of.key, text);
  }
  void operator()(const Setting& of, std::string& path, OnePath /*limits*/) {
    get_path(map_, of.key, path);
  }
  void operator()(const Setting& of, std::vector<std::string>& paths,
                  Paths /*limits*/) {
    get_paths(map_, of.key, paths);
  }
  void operator()(const Setting& of, std::string& name, const OneOf& limits) {
    map_.get(of.key, name, limits.names);
  }
  void operator()(const Setting& of, std::vector<double>& numbers,
                  const Numbers& limits) {
    map_.get(of.key, numbers, limits.range.low, limits.range.high);
    if (numbers.size() <= limits.most) return;
    map_.mistake(of.key, str("expected at most ", limits.most, " numbers"));
  }
  void operator()(const Setting& of, std::vector<std::string>& names,
                  const SomeOf& limits) {
    get_names(map_, of.key, names, limits.names);
  }
  template <typename Number>
  void operator()(const Setting& of, std::map<std::string, Number>& numbers,
                  const NumberOf<Number>& limits) {
    if (!map_.has(of.key)) return;
    numbers.clear();
    YamlMap map = map_.map(of.key);
    for (const std::string& name : limits.names) {
      if (!map.has(name)) continue;
      map.get(name, numbers[name], limits.range.low, limits.range.high);
    }
    map.done();
  }
  void operator()(const Setting& of, std::vector<std::string>& stages,
                  StageNames /*limits*/) {
    all_known_ = read_stages(map_, of.key, stages);
  }
  template <typename Options>
  void group(const Setting& of, Options& options) {
    YamlMap map = map_.map(of.key);
    Reader reader(map, follows_);
    Options::describe(reader, options);
    map.done();
  }
  void follows(generate::Sampling& one, const generate::Sampling& other) {
    if (follows_) one = other;
  }
  static void follows(RoleModels& roles, const ModelOptions& model) {
    roles = RoleModels(model);
  }
  bool shows(bool /*is_used*/) { return true; }
  bool later(bool /*is_other*/) { return true; }

 private:
  YamlMap& map_;
  bool follows_;
  bool all_known_ = true;
};

// Each stage works on what an earlier one made, or on given data.
void check_stages(YamlMap& map, const Recipe& recipe) {
  const bool given = !recipe.instructions.path.empty();
  const auto need = [&](bool ok, const char* key, const std::string& text) {
    if (!ok) map.mistake(key, text);
  };
  need(!recipe.has("align") || recipe.has("instruct") || given, "stages",
       "align needs instructions: add instruct, or give them under "
       "instructions.path");
  for (const StageName& stage : kStages) {
    need(!recipe.has(stage.name) || *stage.needs == '\0' ||
             recipe.has(stage.needs),
         "stages", str(stage.name, " needs ", stage.what, ": add it"));
  }
  need(!recipe.has("tune") || recipe.stages.size() == 1, "stages",
       "tune stands alone: it trains the base on given data");
  need(!given || !recipe.has("instruct"), "instructions",
       "given instructions take the place of stage instruct: leave one out");
  need(!given || recipe.has("align"), "instructions",
       "instructions are given for stage align: add it, or leave them out");
  need(recipe.has("tune") != recipe.data.path.empty(), "data",
       "data.path and stage tune belong together: give both or neither");
  need(recipe.model_for(Role::kTrain).is_here() || !recipe.trains(), "stages",
       "engrave, verbose and tune train the model, which a server's cannot be: "
       "leave them out (stages: [instruct, align]), or give the model on this "
       "machine under model.path, and the servers under model.servers");
  need(!recipe.stages.empty() || recipe.num_held_out > 0, "num_held_out",
       "without stages the held-out answers are all there is: expected some");
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

void check_model(YamlMap map, const ModelOptions& model) {
  if (!model.servers.empty() && generate::is_remote_model(model.path)) {
    map.mistake("path",
                "a server's address beside servers: name it among these, and "
                "here the model on this machine, or nothing");
  }
  if (model.is_served()) return;
  if (model.path.empty()) map.mistake("path", "expected a path or servers");
  for (const char* name :
       {"api", "price_input", "price_output", "api_key_file"}) {
    if (!map.has(name)) continue;
    map.mistake(name, "only of a model behind a server (http://...)");
  }
}

// Weights in codes are not trained themselves.
void check_methods(YamlMap& map, const Recipe& recipe) {
  const ModelOptions& model = recipe.model_for(Role::kTrain);
  if (model.weights == "full") return;
  for (const auto& [stage, key, tune] :
       {std::tuple("engrave", "engrave", &recipe.engrave),
        {"verbose", "final", &recipe.final},
        {"tune", "tune", &recipe.tune}}) {
    if (!recipe.has(stage) || !tune->is_full()) continue;
    map.mistake(key,
                str("method full trains the weights themselves, which "
                    "model.weights ",
                    model.weights, " holds in codes: leave one of them out"));
  }
}

// A role that names another place has none of those of `model`.
void part_places(YamlMap roles, const ModelOptions& model, RoleModels& out) {
  for (const Role role : all_roles()) {
    const char* const name = role_name(role);
    if (!roles.has(name)) continue;
    YamlMap map = roles.map(name);
    ModelOptions& one = out.of(role);
    if (map.has("path") && !map.has("servers")) one.servers.clear();
    if (map.has("servers") && !map.has("path") && !model.is_here()) {
      one.path.clear();
    }
    if (role == Role::kTrain) {
      if (map.has("servers")) {
        map.mistake("servers", "servers train nothing: leave them out");
      }
      one.servers.clear();
    }
    check_model(map, one);
  }
}

void check_trainer(YamlMap& map, const Recipe& recipe) {
  const TrainerOptions& train = recipe.train;
  if (train.is_command() == !train.command.empty()) return;
  map.mistake("train", train.is_command()
                           ? "with: command needs the command: add it, such as "
                             "command: torchrun --nproc-per-node 2 train.py"
                           : "a command trains only with: command");
}

void check_recipe(YamlMap& map, const Recipe& recipe) {
  if (recipe.name.empty() || recipe.name.find('/') != std::string::npos ||
      recipe.name[0] == '.') {
    map.mistake("name", str("expected a plain name, found \"",
                            shown(recipe.name), "\""));
  }
  check_stages(map, recipe);
  check_model(map.map("model"), recipe.model);
  check_thresholds(map, recipe);
  check_trainer(map, recipe);
  check_methods(map, recipe);
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
  recipe.engrave.target_modules = {"all-linear"};
  recipe.engrave.lr_scheduler = "cosine";
}

// The profile of a file, before the rest of it is read.
std::string asked_profile(const YAML::Node& file,
                          const std::string& otherwise) {
  YamlMistakes told_later("");
  std::string profile = otherwise;
  YamlMap(file, "", told_later).get("profile", profile, profile_names());
  return profile;
}

// What is not so in a run that was begun before the key was there.
void use_old_settings(YamlMap& map, Recipe& recipe) {
  recipe.identity_share = 1.0;
  if (!map.has("comparison")) recipe.comparison.decoding = "own";
}

}  // namespace

Recipe read_recipe(const std::string& path) {
  YamlMistakes mistakes(path);
  // Of a run: every key is in it, unless the run is older than the key.
  const bool resolved = fs::path(path).filename() == kRecipeFile + 1;
  YamlMap map(load_yaml(path, !resolved), "", mistakes);
  Recipe recipe = default_recipe();
  recipe.name = fs::path(path).stem().string();
  recipe.profile = asked_profile(map.node(), recipe.profile);
  const bool published = recipe.profile != "default";
  if (published) use_published_settings(recipe);
  const Recipe defaults = recipe;
  if (resolved) use_old_settings(map, recipe);
  map.require("model").require("prompts_folder");
  Reader reader(map, !published);
  Recipe::describe(reader, recipe);
  if (map.has("models")) {
    part_places(map.map("models"), recipe.model, recipe.models);
  }
  check_recipe(map, recipe);
  if (reader.knows_all_stages() && !resolved) {
    check_unused(map.node(), recipe, defaults, mistakes);
  }
  map.done();
  mistakes.throw_if_any();
  change_paths(recipe, [&path](std::string& of) { of = resolve(path, of); });
  if (recipe.run_folder.empty()) {
    recipe.run_folder =
        fs::absolute("runs/" + recipe.name).lexically_normal().string();
  }
  return recipe;
}

}  // namespace selfalign::recipe
