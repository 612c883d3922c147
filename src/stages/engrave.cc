// SPDX-License-Identifier: Apache-2.0
#include "stages/engrave.h"

#include "stages/tuning.h"

namespace selfalign::stages {

void run_engrave(const Run& run) {
  tune_on_pairs({.source = "align.pairs",
                 .samples = "engrave.samples",
                 .adapter = "engrave.adapter",
                 .folder = "engraved",
                 .form = "engraved",
                 .prompt = run.prompts.engraved,
                 .options = run.recipe.engrave},
                run);
}

}  // namespace selfalign::stages
