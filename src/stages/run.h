// SPDX-License-Identifier: Apache-2.0
// What every stage works with: the recipe, the prompts, the store; and the
// models, of which one at a time is in memory.
#pragma once

#include <memory>
#include <string>

#include "generate/generator.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::stages {

// Opens models when a stage first needs them; a stage that is done already
// costs no loading.
class Models {
 public:
  Models(const recipe::Recipe& recipe, Workbench& workbench,
         store::Store& store)
      : recipe_(recipe), workbench_(workbench), store_(store) {}

  // The base model. Its fingerprint is kept in the store: Error kUsage if this
  // run was begun with another one (its rows would not go together).
  generate::Generator& base();
  // The base model with the adapter of the tuning in `folder` of the run
  // ("engraved", "verbose").
  generate::Generator& tuned(const std::string& folder);
  // Gives the memory back before a tuning.
  void close();

 private:
  generate::Generator& open(const std::string& name,
                            const std::string& adapter);

  const recipe::Recipe& recipe_;
  Workbench& workbench_;
  store::Store& store_;
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
