// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe.h"

#include <algorithm>
#include <iterator>
#include <type_traits>

#include "base/error.h"
#include "base/joined.h"
#include "generate/fleet_options.h"

namespace selfalign::recipe {

namespace {

class PathVisitor {
 public:
  explicit PathVisitor(const std::function<void(std::string&)>& change)
      : change_(change) {}

  template <typename Value, typename Limits>
  void operator()(const Setting& /*of*/, Value& value,
                  const Limits& /*limits*/) {
    if constexpr (std::is_same_v<Limits, OnePath>) {
      change_(value);
    } else if constexpr (std::is_same_v<Limits, Paths>) {
      for (std::string& path : value) change_(path);
    }
  }
  template <typename Options>
  void group(const Setting& /*of*/, Options& options) {
    Options::describe(*this, options);
  }
  void follows(auto&, const auto&) {}
  bool shows(bool is_used) { return is_used; }
  bool later(bool /*is_other*/) { return true; }

 private:
  const std::function<void(std::string&)>& change_;
};

}  // namespace

const std::vector<std::string>& stage_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const StageName& stage : kStages) all.emplace_back(stage.name);
    return all;
  }();
  return names;
}

void change_paths(Recipe& recipe,
                  const std::function<void(std::string&)>& change) {
  PathVisitor visitor(change);
  Recipe::describe(visitor, recipe);
}

bool Recipe::has(const std::string& stage) const {
  return std::find(stages.begin(), stages.end(), stage) != stages.end();
}

namespace {

struct NamedRole {
  Role role;
  const char* name;
  ModelOptions RoleModels::*model;
};
constexpr NamedRole kRoles[] = {
    {Role::kInstruct, "instruct", &RoleModels::instruct},
    {Role::kAlign, "align", &RoleModels::align},
    {Role::kVerbose, "verbose", &RoleModels::verbose},
    {Role::kEvaluate, "evaluate", &RoleModels::evaluate},
    {Role::kJudge, "judge", &RoleModels::judge},
    {Role::kTrain, "train", &RoleModels::train}};

const NamedRole& named(Role role) {
  const auto found =
      std::find_if(std::begin(kRoles), std::end(kRoles),
                   [role](const NamedRole& one) { return one.role == role; });
  SELFALIGN_CHECK(found != std::end(kRoles));
  return *found;
}

}  // namespace

const char* role_name(Role role) { return named(role).name; }

const std::vector<Role>& all_roles() {
  static const std::vector<Role> all = [] {
    std::vector<Role> roles;
    for (const NamedRole& one : kRoles) roles.push_back(one.role);
    return roles;
  }();
  return all;
}

ModelOptions& RoleModels::of(Role role) { return this->*named(role).model; }

bool RoleModels::names_any() const {
  return std::any_of(all_roles().begin(), all_roles().end(),
                     [this](Role role) { return of(role) != usual; });
}

std::string ModelOptions::place() const {
  return servers.empty() ? path : joined(servers);
}

std::vector<std::string> ModelOptions::addresses() const {
  return servers.empty() ? std::vector{path}
                         : generate::fleet_addresses(servers);
}

ModelOptions Recipe::model_for(Role role) const {
  const ModelOptions& named = models.of(role);
  ModelOptions one = model;
  if (named != models.usual) {
    one = named;
    one.role = role_name(role);
  }
  if (role == Role::kTrain && !one.servers.empty()) {
    one.servers.clear();
    one.role = role_name(role);
  }
  return one;
}

namespace {

std::vector<ModelOptions> models_of(const Recipe& recipe, bool with_instruct) {
  std::vector<ModelOptions> all;
  const auto add = [&](bool is_used, Role role) {
    const ModelOptions one = recipe.model_for(role);
    const bool is_new = std::find(all.begin(), all.end(), one) == all.end();
    if (is_used && is_new) all.push_back(one);
  };
  add(with_instruct && recipe.has("instruct"), Role::kInstruct);
  add(recipe.has("align"), Role::kAlign);
  add(recipe.has("verbose"), Role::kVerbose);
  add(recipe.num_held_out > 0, Role::kEvaluate);
  add(recipe.trains(), Role::kTrain);
  return all;
}

}  // namespace

std::vector<ModelOptions> Recipe::base_models() const {
  return models_of(*this, false);
}

std::vector<ModelOptions> Recipe::used_models() const {
  return models_of(*this, true);
}

int64_t Recipe::num_identity(int64_t num_rows, int64_t num_pairs) const {
  const int64_t wanted = num_rows * identity_repeats;
  if (identity_share >= 1.0) return wanted;
  const double most =
      identity_share / (1.0 - identity_share) * double(num_pairs);
  return std::min(wanted, int64_t(most + 1e-9));
}

Recipe default_recipe() {
  Recipe recipe;
  // Paper, section 3.1: "temperature 1.0, top-p 0.98", no end-of-text.
  recipe.instruct.sampling.temperature = 1.0;
  recipe.instruct.sampling.top_p = 0.98;
  recipe.instruct.sampling.max_new_tokens = 512;
  recipe.instruct.sampling.ban_eos = true;
  recipe.instruct.topic_sampling = recipe.instruct.sampling;
  recipe.instruct.question_sampling = recipe.instruct.sampling;
  recipe.align.sampling.temperature = 0.5;
  recipe.align.sampling.top_p = 0.9;
  recipe.align.sampling.max_new_tokens = 256;
  recipe.verbose.sampling.temperature = 0.3;
  recipe.verbose.sampling.top_p = 0.7;
  recipe.verbose.sampling.max_new_tokens = 512;
  recipe.verbose.sampling.repetition_penalty = 1.1;
  recipe.final.max_length = 768;
  return recipe;
}

}  // namespace selfalign::recipe
