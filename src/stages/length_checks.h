// SPDX-License-Identifier: Apache-2.0
// Lengths of a recipe that its prompts take whole: no row or sample would have
// room, which would show after hours.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "recipe/recipe.h"

namespace selfalign::stages {

// Tokens of a prompt, BOS included, as the recipe's model reads it.
using CountTokens = std::function<int64_t(const std::string& prompt)>;

// Error kUsage where model.max_context has no room for a stage's prompt and the
// tokens it asks for, or a tuning's max_length none for its short prompt: at
// the key's place in `file`, which the recipe was read from, with the number
// that is needed. After check_start; nothing is written.
void check_lengths(const recipe::Recipe& recipe, const std::string& file,
                   const CountTokens& count);

}  // namespace selfalign::stages
