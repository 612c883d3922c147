// SPDX-License-Identifier: Apache-2.0
// The options that say how the next token is chosen, shared by the subcommands
// that ask a model.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "recipe/decoding.h"

namespace selfalign::cli {

// --temperature, --top-p, --max-tokens (also --max-new-tokens) and
// --repetition-penalty. `otherwise` says what holds where one is not given.
void add_sampling(CLI::App& command, recipe::GivenSampling& given,
                  const std::string& otherwise);

}  // namespace selfalign::cli
