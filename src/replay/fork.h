// SPDX-License-Identifier: Apache-2.0
// A fork: a new run that takes over from another whatever a changed recipe,
// changed prompts or a person's decisions do not affect, and makes the rest. It
// comes out as a run of the new recipe from scratch would, to the same digest,
// for it is one: only that completions and adapters which the other run has
// under the same keys are taken from there (replay_workbench.h). So there is no
// table of what depends on what: a row's key hashes all it depends on.
#pragma once

#include <memory>
#include <string>

#include "recipe/recipe.h"
#include "replay/replay_workbench.h"
#include "store/store.h"

namespace selfalign::replay {

// Opens recipe.run_folder as a fork of the run in the folder `of`; again after
// a stop. `from_stage`: "" or where to begin anew (ReplayWorkbench). Error
// kInput where `of` is no run, kDamaged where another hand changed it, kUsage
// where the folder holds another run.
std::unique_ptr<store::Store> open_fork(const recipe::Recipe& recipe,
                                        const std::string& of,
                                        const std::string& from_stage);

// What a fork needs while it runs; nothing in other runs.
class Inheritance {
 public:
  // Persons' decisions come with the rows. Where the other run is gone, what
  // it would have given is made anew.
  Inheritance(store::Store& store, stages::Workbench& rest);
  ~Inheritance();
  Inheritance(const Inheritance&) = delete;
  Inheritance& operator=(const Inheritance&) = delete;

  stages::Workbench& workbench() { return bench_ ? *bench_ : rest_; }

 private:
  store::Store& store_;
  stages::Workbench& rest_;
  std::unique_ptr<const store::Reader> of_;
  std::unique_ptr<ReplayWorkbench> bench_;
};

}  // namespace selfalign::replay
