// The verbose tax (paper: section 4.2.4): what stage 4 does to the same items,
// before (engraved) and after (verbose), with intervals of the paired
// differences. Works on item logs alone, whatever the task; the run's own
// held-out instructions are a task, too.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "eval/results.h"
#include "eval/statistics.h"
#include "store/store.h"

namespace selfalign::eval {

struct ScoreDifference {
  std::string task;
  std::string score;  // of the item's "scores", or one of text_scores
  double before = 0.0;
  double after = 0.0;
  Paired change;  // after - before
};

// Figures of an item's answer, which every task that generates has: "words",
// "tokens", "ended" (1: by itself), "repetition" (share of its 3-grams that
// stood there before), "repetitive" (1: goes round in circles,
// stages/repetition.h). Empty where the item has no answer.
Json text_scores(const Json& item);

// A difference for each score that items of the same id have on both sides.
std::vector<ScoreDifference> score_differences(const std::string& task,
                                               const std::vector<Json>& before,
                                               const std::vector<Json>& after);

// {"before", "after", "rows": [{"task", "score", "is_share", "before", "after",
//  "difference", "low", "high", "num_items"}]} over every task that both were
// asked and, with a run's store, its held-out instructions ("held_out"); an
// empty object where there is nothing to compare. `folder`: the evaluation's.
Json verbose_tax(const std::string& folder, const Results& results,
                 const store::Store* store);

}  // namespace selfalign::eval
