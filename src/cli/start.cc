// SPDX-License-Identifier: Apache-2.0
#include "cli/start.h"

#include "base/error.h"
#include "formats/model_path.h"
#include "generate/prompt_tokens.h"
#include "local/handoff_training.h"
#include "stages/length_checks.h"
#include "stages/stage_table.h"
#include "stages/start_checks.h"

namespace selfalign::cli {

namespace {

// Names the recipe's key, which the reader of a model does not know.
void check_model_path(const recipe::Recipe& recipe, const std::string& file) {
  try {
    for (const recipe::ModelOptions& model : recipe.used_models()) {
      if (model.is_here()) formats::model_form(model.path);
    }
  } catch (const Error& error) {
    throw Error(error.kind(), str(file, ": model.path: ", error.what()));
  }
}

}  // namespace

void check_before_start(const recipe::Recipe& recipe, const std::string& file,
                        local::LocalWorkbench& workbench) {
  check_model_path(recipe, file);
  const recipe::ModelOptions base = recipe.model_for(recipe::Role::kTrain);
  stages::check_start(recipe, workbench.checks());
  for (const stages::Variant& variant : stages::variants()) {
    if (variant.folder.empty() || !recipe.has(variant.stage())) continue;
    const TuneOptions& tune = recipe.*variant.options;
    if (tune.is_full() && !recipe.train.is_command()) {
      workbench.check_full(base, tune);
    }
  }
  if (recipe.train.is_command() && recipe.trains()) {
    local::require_handoff_base(base.path);
  }
  if (!base.is_here()) return;
  const auto words = workbench.tokenizer(base.path);
  stages::check_lengths(recipe, file, [&words](const std::string& prompt) {
    const generate::Request request{.suffix = prompt};
    return int64_t(generate::tokenize_prompt(request, *words).ids.size());
  });
}

}  // namespace selfalign::cli
