// SPDX-License-Identifier: Apache-2.0
// The closing report of a run, as text and as JSON.
#pragma once

#include <string>

#include "base/json.h"
#include "recipe/recipe.h"
#include "store/store.h"

namespace selfalign::inspect {

// The closing table: rows per stage with reasons of rejection, mean answer
// length per stage, losses, held-out questions side by side. Plain text.
std::string run_summary(const recipe::Recipe& recipe,
                        const store::Reader& store);

// Everything run_summary prints, under "stages", "red_team", "principles",
// "tuning", "held_out", "answers" and "digest"; parts that are not done yet are
// missing.
Json run_report(const recipe::Recipe& recipe, const store::Reader& store);

// Writes report.txt and report.json into the run folder and says in the store
// that the run is done.
void write_summary(const recipe::Recipe& recipe, store::Store& store);

}  // namespace selfalign::inspect
