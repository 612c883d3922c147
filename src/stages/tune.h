// SPDX-License-Identifier: Apache-2.0
// A baseline, trained the same way for comparison (paper: section 4, Alpaca,
// Vicuna and Dolly beside Dromedary): the base model is tuned on conversations
// that a person gives, with the loss on every answer. None of the method's four
// stages takes part, and no self-identification rows.
//
// Stages: given.conversations -> tune.samples -> tune.adapter (run folder
// "tuned").
#pragma once

#include "stages/run.h"

namespace selfalign::stages {

void run_tune(const Run& run);

}  // namespace selfalign::stages
