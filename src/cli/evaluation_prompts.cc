#include "cli/evaluation_prompts.h"

#include <filesystem>

#include "cli/run_folder.h"
#include "stages/prompts.h"
#include "stages/recipe.h"
#include "stages/run_files.h"

namespace selfalign::cli {

std::string find_prompts_with(const std::string& file, const std::string& given,
                              const std::string& run) {
  if (given.empty() && !run.empty()) {
    const std::string folder = stages::run_recipe(run).prompts_folder;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(stages::prompt_path(folder, {}, file),
                                         ignored))
      return folder;
  }
  return find_prompts(given, "");
}

}  // namespace selfalign::cli
