// SPDX-License-Identifier: Apache-2.0
// What stands beside exported data: the card (README.md in the form of a
// Hugging Face dataset card), the stanzas for trainers, the manifest.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "export/export_parts.h"

namespace selfalign::exports {

std::string data_card(const ExportContext& context);
// The entry of LLaMA-Factory's dataset_info.json, and axolotl's `datasets`.
Json llama_factory_entry(const ExportContext& context);
std::string axolotl_stanza(const ExportContext& context);

// {"format", "program", "run": {"name", "digest", "stages": [..]}, "dataset",
//  "inputs": [..]}. Inputs are the resolved recipe, the prompts and the files
//  of
// the base model, by name.
Json export_manifest(const ExportContext& context);
// {"name", "bytes", "sha256"}; {"name", "missing": true} for a file that is
// gone.
Json hashed_file(const std::string& name, const std::string& path);

}  // namespace selfalign::exports
