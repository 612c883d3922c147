// SPDX-License-Identifier: Apache-2.0
// The decoder on a CPU, in own kernels. It computes what model::hidden_states
// does (the tests hold it against that), with
// - weights packed once, q/k/v in one product and gate/up in another whose
//   results are joined while in registers,
// - attention over pages of packed keys and values: queries of all texts
//   against one copy of the prefix, then each against its own, in one running
//   softmax, which is the log-sum-exp merge,
// - activations between products in float32.
// A row's bits depend on its tokens alone, not even on how many rows a pass
// has, so that passes are as long as there is work, never padded.
#pragma once

#include <memory>

#include "engine/decoder.h"
#include "engine/kernels.h"

namespace selfalign::engine {

// Weights in float32 or bfloat16, on the CPU. They are copied (packed), all
// but the embedding; packed weights of the same tensors are shared with other
// decoders (packed_cache.h); `set` must be one that this processor has.
std::unique_ptr<Decoder> make_cpu_decoder(const model::Weights& weights,
                                          const DecoderOptions& options,
                                          const Kernels& set = kernels());

}  // namespace selfalign::engine
