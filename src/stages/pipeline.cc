// SPDX-License-Identifier: Apache-2.0
#include "stages/pipeline.h"

#include "base/error.h"
#include "base/profile.h"
#include "recipe/run_files.h"
#include "stages/align.h"
#include "stages/engrave.h"
#include "stages/funnel.h"
#include "stages/given.h"
#include "stages/held_out.h"
#include "stages/instruct.h"
#include "stages/instructions.h"
#include "stages/refill.h"
#include "stages/tune.h"
#include "stages/verbose.h"

namespace selfalign::stages {
namespace {

void require_rows(const store::Reader& store, const std::string& what,
                  int64_t num_rows) {
  if (num_rows > 0) return;
  throw Error(ErrorKind::kFailed,
              str(store.folder(), ": there is not one ", what,
                  " to go on with; look at the reasons of rejection above and "
                  "at the raw text with: selfalign show RUN ROW"));
}

}  // namespace

std::unique_ptr<store::Store> open_run(const recipe::Recipe& recipe) {
  auto store = store::Store::open(recipe.run_folder);
  recipe::keep_run_files(recipe, *store);
  check_given(recipe, *store);
  return store;
}

void run_pipeline(const recipe::Recipe& recipe, Workbench& workbench,
                  store::Store& store, Judging judging) {
  const recipe::Prompts prompts = recipe::kept_prompts(store);
  Models models(recipe, workbench, store);
  const Run run{recipe, prompts, store, workbench, models, judging};

  // 1. The base model writes instructions, from seeds and adversarial topics;
  // or a person gives them.
  if (recipe.has("instruct")) {
    const ProfileSlice slice("instruct");
    run_instruct(run);
  }
  if (!recipe.instructions.path.empty()) take_instructions(run);

  // 2. It answers them under the principles; thoughts are cut out and kept.
  if (recipe.has("align")) {
    const ProfileSlice slice("align");
    require_rows(store, "instruction", num_kept_instructions(store));
    run_align(run);
    require_rows(store, "pair", store.num_rows("align.pairs"));
    // Principles that fired too seldom get further questions, if asked for.
    run_refill(run);
  }

  // 3. The principles move into its weights.
  if (recipe.has("engrave")) {
    const ProfileSlice slice("engrave");
    run_engrave(run);
    SELFALIGN_CHECK(stage_done(store, "engrave.adapter"));
  }

  // 4. The engraved model answers at length; the base is tuned on that.
  if (recipe.has("verbose")) {
    const ProfileSlice slice("verbose");
    run_verbose(run);
    SELFALIGN_CHECK(stage_done(store, "verbose.adapter"));
  }

  // A baseline in place of all that: the base is tuned on given data.
  if (recipe.has("tune")) {
    const ProfileSlice slice("tune");
    run_tune(run);
    SELFALIGN_CHECK(stage_done(store, "tune.adapter"));
  }

  // What came of it, on instructions nobody has seen.
  const ProfileSlice slice("held out");
  run_held_out(run);
  models.close();
}

}  // namespace selfalign::stages
