// SPDX-License-Identifier: Apache-2.0
#include "cli/assistant.h"

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "cli/run_folder.h"
#include "formats/peft.h"
#include "recipe/chat.h"
#include "recipe/decoding.h"
#include "recipe/run_files.h"
#include "stages/adapter_prompt.h"
#include "stages/stage_table.h"

namespace selfalign::cli {
namespace {

namespace fs = std::filesystem;
using stages::AdapterPrompt;

// The run of an adapter RUN/TUNING/adapter, or RUN/TUNING/model, and what its
// tuning is asked under.
struct Origin {
  std::string run;
  std::string form;
};
std::optional<Origin> origin_of(const std::string& adapter) {
  const fs::path folder =
      (fs::absolute(adapter) / "").lexically_normal().parent_path();
  const fs::path tuning = folder.parent_path();
  const fs::path run = tuning.parent_path();
  const std::string name = folder.filename();
  if ((name != "adapter" && name != "model") || !recipe::is_run_folder(run)) {
    return std::nullopt;
  }
  for (const stages::Variant& variant : stages::variants()) {
    if (!variant.folder.empty() && tuning.filename() == variant.folder) {
      return Origin{run, variant.form};
    }
  }
  return std::nullopt;
}

// Who names a form can do without the file.
std::optional<AdapterPrompt> carried(const AssistantChoice& choice) {
  if (choice.adapter.empty()) return std::nullopt;
  if (!formats::is_tuned_model(choice.adapter)) {
    formats::require_adapter(choice.adapter);
  }
  try {
    return stages::read_adapter_prompt(choice.adapter);
  } catch (const Error& error) {
    if (choice.form == "auto") throw;
    log_warning(error.what());
    return std::nullopt;
  }
}

std::string form_of(const AssistantChoice& choice,
                    const std::optional<AdapterPrompt>& own,
                    const std::optional<Origin>& origin) {
  if (choice.form != "auto") return choice.form;
  if (choice.adapter.empty()) return "none";
  if (own) return own->form;
  if (origin) return origin->form;
  throw Error(ErrorKind::kUsage,
              choice.adapter +
                  ": the adapter has no selfalign.json, which says what prompt "
                  "it was trained under; name the prompt with --form "
                  "(engraved, final, tuned, none, ...)");
}

std::string prompts_of(const AssistantChoice& choice) {
  if (choice.prompts.empty() && !choice.run.empty()) {
    return choice.run + "/prompts";
  }
  return find_prompts(choice.prompts, choice.adapter);
}

}  // namespace

Assistant assistant_of(const AssistantChoice& given) {
  AssistantChoice choice = given;
  if (choice.adapter.empty() && formats::is_tuned_model(choice.model)) {
    choice.adapter = choice.model;
  }
  const std::optional<AdapterPrompt> own = carried(choice);
  std::optional<Origin> origin;
  if (!choice.adapter.empty()) origin = origin_of(choice.adapter);
  Assistant assistant;
  assistant.form = form_of(choice, own, origin);
  const bool carries = own && choice.form == "auto" && choice.prompts.empty();
  assistant.prompt =
      carries ? own->prompt
              : recipe::read_chat_prompt(prompts_of(choice), assistant.form);
  const std::string run = origin ? origin->run : choice.run;
  assistant.sampling = own           ? own->sampling
                       : run.empty() ? recipe::comparison_sampling()
                                     : recipe_of_run(run).comparison.sampling;
  return assistant;
}

}  // namespace selfalign::cli
