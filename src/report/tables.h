// SPDX-License-Identifier: Apache-2.0
// The paper's tables over models, made of the results of an evaluation: models
// by figures (its Figure 4 and Tables 2 and 3: TruthfulQA and HHH by model),
// and the items behind them side by side.
#pragma once

#include <string>

#include "base/json.h"
#include "eval/results.h"

namespace selfalign::report {

// [{"task", "name", "decoding" (decoding_of), "decoding_lines" (for people),
//  "metrics": [{"name", "title", "chance", "higher_is_better", "is_share",
//  "note"}], "models": [{"subject", "title", "figures": {name: {"value", "low",
//  "high", "num_items"}}, "failures"}]}], tasks and models in order of results.
//  What was decoded otherwise is a table of its own, which `name` tells apart:
//  "vicuna (2)".
Json tables_by_model(const eval::Results& results);

// {table's name: {"total", "shown", "files": [..], "items": [{"id", "group",
//  "question", "answers": {subject: {"scores", "answer", "more"}}}]}}: up to
// `num_shown` items of each task, evenly drawn, with what every subject made of
// them; long texts are cut. "more" is the rest of the item as JSON.
Json items_by_task(const std::string& folder, const eval::Results& results,
                   size_t num_shown);

// {"subjects", "results", "comparisons", "tables", "items"}; an empty object
// where there are no results.
Json evaluation_json(const std::string& folder, const eval::Results& results);

}  // namespace selfalign::report
