// SPDX-License-Identifier: Apache-2.0
// A tiny run on the scripted world, as a process of its own: RUN begins it or
// goes on with it and prints its digest; backup RUN FOLDER and restore FOLDER
// RUN are the program's commands. Exit codes as the program's.
#include <iostream>
#include <string>
#include <vector>

#include "backup/backup.h"
#include "backup/folder_target.h"
#include "backup/restore.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "end_to_end/scripted_world.h"
#include "replay/whole_run.h"
#include "stages/pipeline.h"

namespace {

using namespace selfalign;

void run_pipeline(const std::string& folder) {
  recipe::Recipe recipe = tests::small_recipe(folder);
  recipe.instruct.num_instructions = 5;
  recipe.instruct.num_red_team = 24;  // several transactions
  recipe.instruct.topics_per_type = 1;
  recipe.num_held_out = 2;
  tests::ScriptedWorkbench workbench({});
  const auto store = stages::open_run(recipe);
  replay::run_to_end(recipe, workbench, *store);
  std::cout << store->run_digest() << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  set_log_level(LogLevel::kError);
  set_progress_shown(false);
  try {
    if (words.size() == 1) {
      run_pipeline(words[0]);
    } else if (words.size() == 3 && words[0] == "backup") {
      backup::FolderTarget target(words[2], words[1]);
      backup::back_up(words[1], target);
    } else if (words.size() == 3 && words[0] == "restore") {
      backup::restore(words[1], words[2]);
    } else {
      return static_cast<int>(ErrorKind::kUsage);
    }
  } catch (const Error& error) {
    log_error(error.what());
    return static_cast<int>(error.kind());
  }
  return 0;
}
