// SPDX-License-Identifier: Apache-2.0
// The frozen base of a LoRA training on CPUs, multiplied by the engine's
// kernels forward and backward where those are faster than ATen's products:
// - bfloat16, but for CPUs with AMX: matrices are packed once; for the backward
//   pass a few columns at a time are transposed, which is small beside a
//   product of a pack's rows;
// - whole numbers of 8 bits (`--weights w8a8`): forward as in generation
//   (engine/packed_int8.h), backward by products of the same kind, for which a
//   token's gradient is rounded as its activations are. A matrix is held twice,
//   rounded along its rows and along its columns.
// What is trained, and all but the projections, is as with any other base.
#pragma once

#include "model/weights.h"

namespace selfalign::train {

// `weights` as a training of an adapter takes them: as above, and otherwise as
// model::held_weights() holds them.
model::Weights frozen_base(const model::Weights& weights);

}  // namespace selfalign::train
