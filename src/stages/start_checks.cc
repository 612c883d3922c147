// SPDX-License-Identifier: Apache-2.0
#include "stages/start_checks.h"

#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "formats/datasets.h"
#include "recipe/run_files.h"
#include "stages/contamination.h"
#include "stages/conversations.h"
#include "store/reader.h"

namespace selfalign::stages {

namespace fs = std::filesystem;

bool is_begun(const std::string& run_folder) {
  return store::Reader::is_made(run_folder) &&
         !store::Reader::open(run_folder)->stages().empty();
}

void check_start(const recipe::Recipe& recipe, const CheckModel& check_model) {
  const recipe::Prompts prompts = recipe::fitting_prompts(recipe);
  const ContaminationGuard guard(recipe.contamination, prompts.held_out);
  if (!recipe.instructions.path.empty()) {
    formats::read_prompts(recipe.instructions.path);
  }
  if (!recipe.data.path.empty()) {
    read_conversations(recipe.data.path, size_t(recipe.data.max_rows));
  }
  check_can_write(recipe.run_folder);
  for (const recipe::ModelOptions& model : recipe.used_models()) {
    // A command starts servers when they are first asked.
    if (model.is_served() && !recipe.serve.reload.empty()) continue;
    check_model(model, recipe.trains() &&
                           model == recipe.model_for(recipe::Role::kTrain));
  }
}

void check_can_write(const std::string& folder) {
  fs::path nearest = fs::absolute(folder).lexically_normal();
  std::error_code problem;
  fs::file_status status = fs::status(nearest, problem);
  while (!fs::exists(status) && nearest.has_relative_path()) {
    nearest = nearest.parent_path();
    status = fs::status(nearest, problem);
  }
  const bool is_folder = fs::is_directory(status);
  if (is_folder && ::access(nearest.c_str(), W_OK | X_OK) == 0) return;
  throw Error(ErrorKind::kUsage,
              str(folder, ": expected a folder that can be written, found ",
                  nearest.string(),
                  is_folder ? " without the right to; take another, or get "
                              "that right"
                            : " to be no folder; take another"));
}

}  // namespace selfalign::stages
