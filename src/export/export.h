// SPDX-License-Identifier: Apache-2.0
// A run's pairs of instruction and answer as a dataset folder for other tools:
// the data, a card that says how they were made, what to paste into the
// configuration of a trainer, and hashes of everything that went in and came
// out. The folder appears whole or not at all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "export/export_parts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::exports {

// Writes train.jsonl or train.parquet, README.md, dataset_info.json (of
// LLaMA-Factory), axolotl.yaml and manifest.json; with an adapter its prompt,
// selfalign.json and chat_template.jinja. Error kUsage for an unknown set or
// form and a folder that is there, kInput if the run has no such rows.
ExportReport export_dataset(const store::Reader& store,
                            const recipe::Recipe& recipe,
                            const ExportOptions& options);

}  // namespace selfalign::exports
