// SPDX-License-Identifier: Apache-2.0
// Stage 3, principle engraving (paper: section 3.3): the base model is tuned
// on stage 2's pairs under a short prompt without principles, so that they
// move into the weights.
//
// Stages: align.pairs -> engrave.samples -> engrave.adapter (run folder
// "engraved").
#pragma once

#include "stages/run.h"

namespace selfalign::stages {

void run_engrave(const Run& run);

}  // namespace selfalign::stages
