// SPDX-License-Identifier: Apache-2.0
#include "cli/evaluation_prompts.h"

#include <filesystem>

#include "cli/run_folder.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "recipe/run_files.h"

namespace selfalign::cli {

std::string find_prompts_with(const std::string& file, const std::string& given,
                              const std::string& run) {
  if (given.empty() && !run.empty()) {
    const std::string folder = recipe::run_recipe(run).prompts_folder;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(recipe::prompt_path(folder, {}, file),
                                         ignored))
      return folder;
  }
  return find_prompts(given, "");
}

}  // namespace selfalign::cli
