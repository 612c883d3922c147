#include "cli/start.h"

#include "generate/prompt_tokens.h"
#include "generate/remote_address.h"
#include "stages/length_checks.h"
#include "stages/start_checks.h"

namespace selfalign::cli {

void check_before_start(const recipe::Recipe& recipe, const std::string& file,
                        local::LocalWorkbench& workbench) {
  stages::check_start(recipe, workbench.checks());
  if (generate::is_remote_model(recipe.model.path)) return;
  const auto words = workbench.tokenizer(recipe.model.path);
  stages::check_lengths(recipe, file, [&words](const std::string& prompt) {
    const generate::Request request{.suffix = prompt};
    return int64_t(generate::tokenize_prompt(request, *words).ids.size());
  });
}

}  // namespace selfalign::cli
