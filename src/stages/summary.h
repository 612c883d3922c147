// The closing report of a run, as text (run_summary in pipeline.h) and JSON.
#pragma once

#include <string>

#include "base/json.h"
#include "stages/recipe.h"
#include "store/store.h"

namespace selfalign::stages {

// Everything run_summary prints, under "stages", "red_team", "principles",
// "tuning", "held_out", "answers" and "digest"; parts that are not done yet are
// missing.
Json run_report(const Recipe& recipe, const store::Store& store);

// Writes report.txt and report.json into the run folder and says in the store
// that the run is done.
void write_summary(const Recipe& recipe, store::Store& store);

}  // namespace selfalign::stages
