// SPDX-License-Identifier: Apache-2.0
#include "replay/replayed_run.h"

#include "base/error.h"
#include "recipe/run_files.h"
#include "replay/replay_workbench.h"
#include "stages/align.h"
#include "stages/decisions.h"
#include "stages/funnel.h"
#include "stages/pipeline.h"

namespace selfalign::replay {
namespace {

using store::Reader;

recipe::Recipe recipe_of(const Reader& run, const std::string& folder) {
  recipe::Recipe recipe = recipe::run_recipe(run.folder());
  recipe.prompts_folder = run.folder() + "/prompts";
  recipe.prompts_overlay.clear();
  recipe.run_folder = folder;
  return recipe;
}

// What of the run's past is in no file of it.
void keep_past(const Reader& run, store::Store& again) {
  stages::replay_decisions(run, again);
  const auto keep = [&](const std::string& name) {
    if (const auto value = run.meta(name)) again.set_meta(name, *value);
  };
  // Files that a person gave may have changed since, or be gone.
  for (const std::string& stage : run.stages()) keep(stage + ".digest");
  keep(stages::kBannedTokens);
}

}  // namespace

ReplayedRun::ReplayedRun(const Reader& run, stages::Judging judging) {
  const recipe::Recipe recipe = recipe_of(run, scratch_.path() + "/run");
  store_ = stages::open_run(recipe);
  keep_past(run, *store_);
  play(run, recipe, judging);
}

ReplayedRun::~ReplayedRun() = default;

void ReplayedRun::play(const Reader& run, const recipe::Recipe& recipe,
                       stages::Judging judging) {
  ReplayWorkbench workbench(run, nullptr);
  try {
    stages::run_pipeline(recipe, workbench, *store_, judging);
  } catch (const NotReplayed& missing) {
    end_ = missing.what();
    if (!stages::run_done(run)) {
      end_ = str("the run is not done and goes no further (", end_, ")");
    }
  } catch (const Error& error) {
    // A full disk here says nothing of the run.
    if (error.kind() == ErrorKind::kInterrupted ||
        error.kind() == ErrorKind::kResources) {
      throw;
    }
    end_ = error.what();
    can_be_made_ =
        error.kind() != ErrorKind::kInput && error.kind() != ErrorKind::kUsage;
  }
}

}  // namespace selfalign::replay
