// SPDX-License-Identifier: Apache-2.0
// What the report says of a run beyond its summary (inspect/summary.h): a few
// rows from principle to answer, what was rejected, how the tunings went, and
// what it takes to make the run again. Reads only.
#pragma once

#include "base/json.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::report {

// What must be said beside every figure of a run on this base model.
std::string base_model_note(const std::string& model_path);

// [{"row": "align.answers:3", "kept", "reason", "detail", "instruction",
//  "type", "topic", "thought", "rules": [{"number", "name", "text"}], "answer",
//  "verbose", "raw", "tokens", "finish"}]: kept rows, then a row for each
// reason of rejection. Drawn by their keys, so always the same ones.
Json sample_rows(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
                 const store::Reader& store);

// {stage: [{"reason", "count", "examples": [{"row", "text", "detail"}]}]}
Json rejected_examples(const store::Reader& store);

// {"engraved": [{"step", "loss", "learning_rate"}]}: metrics.jsonl of the
// tunings, up to the first line that is none.
Json training_curves(const store::Reader& store);

// {"program", "recipe": its text, "prompts_digest", "digest", "stages",
//  "models": [{"name", "fingerprint"}], "adapters": [{"name", "inputs",
//  "files"}], "files": [{"name", "bytes", "sha256"}], "commands": [..]}
Json provenance(const store::Reader& store);

}  // namespace selfalign::report
