// SPDX-License-Identifier: Apache-2.0
// What the data of a run is like: how long, how diverse, how much was the same
// as something before. Reads only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::inspect {

// {"count", "mean", "p10", "p50", "p90", "max", "histogram": [{"from", "to",
//  "count"}]}: ten bins of equal width from the smallest to the 99th
//  percentile,
// the last one open. Percentiles are values that occur (nearest rank).
Json distribution(std::vector<double> values);

// Share of the n-grams of lower-case words that are different ones, n = 1..3
// (Li et al. 2016, "A diversity-promoting objective function").
Json distinct_ngrams(const std::vector<std::string>& texts);

// Of a run, as far as it has come:
//   "instructions"  kept ones: words, root verbs with nouns, openings,
//                   distinct_n, nearest ROUGE-L to a seed (of a sample), types
//   "duplicates"    {stage: {"made", "duplicates"}}
//   "answers"       by stage of pairs: tokens or words, share ended, distinct_n
//   "principles"    how many pairs each fired in
Json run_stats(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
               const store::Reader& store);
// The same for a person, `width` characters a line.
std::string stats_text(const Json& stats, size_t width);

}  // namespace selfalign::inspect
