// SPDX-License-Identifier: Apache-2.0
// What can be known to fail before a run begins, said before anything is
// written: hours later it would cost the work, and a folder of a run that never
// began would mislead.
#pragma once

#include <functional>
#include <string>

#include "recipe/recipe.h"

namespace selfalign::stages {

// Whether the folder holds a run with rows, which has its own copies of what it
// was begun with.
bool is_begun(const std::string& run_folder);

// Error, as whoever opens the model throws it, if it is not there or cannot be
// used, or cannot be trained if `trains`; quick.
using CheckModel =
    std::function<void(const recipe::ModelOptions& model, bool trains)>;

// Prompts and what the recipe asks of them, given files and evaluation sets,
// whether the run folder can be made, and the model. Errors as those who read
// these throw them; nothing is written.
void check_start(const recipe::Recipe& recipe, const CheckModel& check_model);

// Error kUsage where `folder` cannot be made or written to: it, or what is
// above it, is a file or not the person's.
void check_can_write(const std::string& folder);

}  // namespace selfalign::stages
