// SPDX-License-Identifier: Apache-2.0
// What a principle or an exemplar does: rows of a run's stage 2 are answered
// again under an edited prompt with the same draws, and compared. The draws of
// a row come from its key, so an ablation's rows carry the keys of the run's
// rows, in a store of their own: RUN/ablations/NAME. The run's own store is
// only read. An ablation without an edit gives every text again.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "recipe/edited_prompts.h"
#include "recipe/recipe.h"
#include "stages/workbench.h"
#include "store/reader.h"

namespace selfalign::replay {

struct AblateOptions {
  recipe::PromptEdit edit;
  int64_t num_rows = 0;  // drawn from all, the same for every edit; 0: all
  std::string name;      // of the folder; "": from edit and rows
};

// Answers what is not answered yet and compares. Error kInput if the run's
// stage 2 is not done, kUsage if NAME holds another ablation or the model is
// not the run's. Writes report.json and report.txt into the folder; returns
// {"folder", "edit", "rows", "texts_changed", "share_changed", "before",
//  "after", "rules": [{"name", "before", "after"}], "examples"}, where before
// and after are {"kept", "rejected": {reason: n}, "mean_tokens",
//  "share_ended", "unnamed"} and examples are the first changed texts.
Json ablate(const recipe::Recipe& recipe, const store::Reader& run,
            const AblateOptions& options, stages::Workbench& workbench);

std::string ablation_text(const Json& report);

}  // namespace selfalign::replay
