// SPDX-License-Identifier: Apache-2.0
// A recipe tried on a handful of rows: the same pipeline with small numbers,
// an example of every stage, and what the whole run would take.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.h"
#include "inspect/eta.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::replay {

// `recipe` with at most 8 instructions, 4 red-team questions and 3 held-out
// ones, a step or two of each tuning, in the folder "<run_folder>-preview".
recipe::Recipe preview_recipe(const recipe::Recipe& recipe);

// The first row that each stage kept, with its texts: {"row", name: text, ...}.
Json preview_examples(const recipe::Prompts& prompts,
                      const std::string& profile, const store::Reader& store);

// Examples and forecast of the finished preview in `store`, for a person and
// as JSON {"run", "noise", "examples", "forecast": [{"step", "unit", "total",
// "tokens", "seconds"}], "tokens", "seconds"}.
std::string preview_text(const recipe::Recipe& whole,
                         const recipe::Prompts& prompts,
                         const store::Reader& store, size_t width);
Json preview_json(const recipe::Recipe& whole, const recipe::Prompts& prompts,
                  const store::Reader& store);

}  // namespace selfalign::replay
