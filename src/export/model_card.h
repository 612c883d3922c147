// SPDX-License-Identifier: Apache-2.0
// What stands beside an exported model: the card (README.md in the form of a
// Hugging Face model card).
#pragma once

#include <optional>
#include <string>

#include "export/model_parts.h"
#include "stages/adapter_prompt.h"

namespace selfalign::exports {

// The licence that the base states of itself, in its README.md or its metadata;
// "" for none.
std::string base_licence(const BaseModel& base);

// `name`: the folder's, as the commands in the card call it; `file`: the GGUF
// file in it.
std::string model_card(const ModelOptions& options, const BaseModel& base,
                       const std::optional<stages::AdapterPrompt>& prompt,
                       const std::string& name, const std::string& file);

// The front matter alone, for a folder that a run keeps: the base's licence.
std::string licence_card(const BaseModel& base);

}  // namespace selfalign::exports
