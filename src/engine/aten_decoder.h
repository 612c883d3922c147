// SPDX-License-Identifier: Apache-2.0
// The decoder on any device, in ATen calls: model::hidden_states over keys and
// values in pages, which follow the length in use.
#pragma once

#include <memory>

#include "engine/aten_cache.h"
#include "engine/decoder.h"

namespace selfalign::engine {

// free_memory: what keys and values may take; empty: asked of the device.
std::unique_ptr<Decoder> make_aten_decoder(
    std::shared_ptr<const model::Weights> weights,
    const DecoderOptions& options, FreeMemory free_memory = {});

}  // namespace selfalign::engine
