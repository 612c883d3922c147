// SPDX-License-Identifier: Apache-2.0
// A tiny model that a whole run can be made with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipe/prompts.h"
#include "tiny_model.h"

namespace selfalign {

// `count` different words of letters that mean nothing, after draw `key`.
std::string words(uint64_t key, int count);

// What a phrase model says under the prompts of each stage.
std::vector<Phrases> phrases_for(const recipe::Prompts& prompts);

}  // namespace selfalign
