// SPDX-License-Identifier: Apache-2.0
// A tiny run on the scripted world, as a process of its own: begins it or goes
// on with it, prints the run's digest. Exit codes as the program's.
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "end_to_end/scripted_world.h"
#include "replay/whole_run.h"
#include "stages/pipeline.h"

int main(int argc, char** argv) {
  using namespace selfalign;
  if (argc != 2) return static_cast<int>(ErrorKind::kUsage);
  set_log_level(LogLevel::kError);
  set_progress_shown(false);
  recipe::Recipe recipe = tests::small_recipe(argv[1]);
  recipe.instruct.num_instructions = 5;
  recipe.instruct.num_red_team = 3;
  recipe.instruct.topics_per_type = 1;
  recipe.num_held_out = 2;
  try {
    tests::ScriptedWorkbench workbench({});
    const auto store = stages::open_run(recipe);
    replay::run_to_end(recipe, workbench, *store);
    std::cout << store->run_digest() << std::endl;
  } catch (const Error& error) {
    log_error(error.what());
    return static_cast<int>(error.kind());
  }
  return 0;
}
