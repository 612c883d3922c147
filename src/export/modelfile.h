// SPDX-License-Identifier: Apache-2.0
// What ollama makes a model of: its docs/modelfile.md.
#pragma once

#include <optional>
#include <string>

#include "stages/adapter_prompt.h"

namespace selfalign::exports {

// `from`: what stands behind FROM; `adapter`: behind ADAPTER, "" for none. With
// the prompt that the model was trained under, its sampling and stop strings.
std::string modelfile(const std::string& from, const std::string& adapter,
                      const std::optional<stages::AdapterPrompt>& prompt);

}  // namespace selfalign::exports
