// SPDX-License-Identifier: Apache-2.0
// What every stage works with: the recipe, the prompts, the store; and the
// models, of which one at a time is in memory.
#pragma once

#include <memory>
#include <string>

#include "generate/generator.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "stages/served.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::stages {

// By which a model is known in the store: "base" or the tuning's folder, and
// the role that names a model of its own: "base.align".
std::string model_name(const std::string& name,
                       const recipe::ModelOptions& model);

// Opens models when a stage first needs them; a stage that is done already
// costs no loading.
class Models {
 public:
  Models(const recipe::Recipe& recipe, Workbench& workbench,
         store::Store& store)
      : recipe_(recipe),
        store_(store),
        served_(recipe, workbench, &store, &store) {}

  // The base model, as the recipe has it for the role. Its fingerprint is kept
  // in the store: Error kUsage if this run was begun with another one (its rows
  // would not go together), but for servers that call one model by two names.
  generate::Generator& base(recipe::Role role);
  // The base model with the adapter of the tuning in `folder` of the run
  // ("engraved", "verbose").
  generate::Generator& tuned(const std::string& folder, recipe::Role role);
  // Gives the memory back before a tuning.
  void close();

 private:
  generate::Generator& open(const std::string& name,
                            const recipe::ModelOptions& model,
                            const std::string& adapter);
  void check_fingerprint(const std::string& name);

  const recipe::Recipe& recipe_;
  store::Store& store_;
  ServedModels served_;
  std::string name_;
  std::unique_ptr<generate::Generator> generator_;
};

// Whose filters judge the rows of stages 1, 2 and 4.
enum class Judging {
  kOwn,   // the recipe's profile
  kBoth,  // and the one it is compared with, whose verdicts decide nothing
};

struct Run {
  const recipe::Recipe& recipe;
  const recipe::Prompts& prompts;
  store::Store& store;
  Workbench& workbench;
  Models& models;
  Judging judging = Judging::kOwn;
};

}  // namespace selfalign::stages
