// SPDX-License-Identifier: Apache-2.0
// The decoder on any device, in ATen calls: model::hidden_states over padded
// key and value tensors of fixed size.
#pragma once

#include <memory>

#include "engine/decoder.h"

namespace selfalign::engine {

std::unique_ptr<Decoder> make_aten_decoder(
    std::shared_ptr<const model::Weights> weights,
    const DecoderOptions& options);

}  // namespace selfalign::engine
