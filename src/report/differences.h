// SPDX-License-Identifier: Apache-2.0
// Two subjects on the same items, with intervals of the paired differences:
// whether the engraved model is above the prompted base (the paper's central
// claim), what stage 4 costs and brings (its verbose tax, section 4.2.4), and
// every subject against the base. Works on item logs alone, whatever the task;
// the run's own held-out instructions are a task, too.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "eval/results.h"
#include "eval/statistics.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::report {

struct ScoreDifference {
  std::string task;
  std::string score;  // of the item's "scores", or one of text_scores
  double before = 0.0;
  double after = 0.0;
  eval::Paired change;  // after - before
};

// Figures of an item's answer, which every task that generates has: "words",
// "tokens", "ended" (1: by itself), "repetition" (share of its 3-grams that
// stood there before), "repetitive" (1: goes round in circles,
// parse/repetition.h). Empty where the item has no answer.
Json text_scores(const Json& item);

// A difference for each score that items of the same id have on both sides.
std::vector<ScoreDifference> score_differences(const std::string& task,
                                               const std::vector<Json>& before,
                                               const std::vector<Json>& after);

// A run's held-out answers.
struct HeldOutAnswers {
  const store::Reader& store;
  const recipe::Prompts& prompts;  // of the run
  bool own_decoding = false;       // each variant its stage's
};

// [{"before", "after", "rows": [{"task", "decoding", "score", "is_share",
//  "before", "after", "difference", "low", "high", "num_items"}]}] over every
// task that both were asked under the same decoding and, where given, the
// held-out instructions ("held_out"). Pairs: prompted and engraved and every
// adapter beside the run's, short and engraved, engraved and verbose, base and
// every other; those without a row are left out. `folder`: the evaluation's.
Json differences(const std::string& folder, const eval::Results& results,
                 const HeldOutAnswers* held_out);

// differences_text of a run's held-out instructions alone.
std::string held_out_text(const recipe::Recipe& recipe,
                          const store::Reader& store);

// The pair of engraved and verbose of these; an empty object without it.
Json verbose_tax(const Json& differences);

// For a terminal: a line for each pair and main figure (no part of another one,
// as "letters.macro"); "" where there is none.
std::string differences_text(const Json& differences);

}  // namespace selfalign::report
