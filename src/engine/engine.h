// SPDX-License-Identifier: Apache-2.0
// The local generator: fixed slots that are refilled as rows end, a shared
// prefix computed once and read once a step for all slots, randomness by the
// row's key. See docs/design.md, "Engine".
#pragma once

#include <memory>

#include "engine/engine_options.h"
#include "generate/generator.h"
#include "model/device.h"
#include "model/transformer.h"
#include "text/tokenizer.h"

namespace selfalign::engine {

// The weights (an adapter already merged) and the tokenizer are shared with
// whoever else holds them; on a CPU the engine keeps packed copies and only the
// embedding of `weights`, and shares packed copies of the same tensors with
// other engines: an adapter on a base costs what it changes. One call of a
// generator at a time (but for score() inside generate()); several engines may
// work in several threads. Error kUsage for options out of range, kInput if
// tokenizer and weights do not fit, kResources.
//
// The fingerprint holds the weights' digest, device class, dtype, library
// version and context; on a CPU also the instruction set, elsewhere slots,
// chunk and the size of a page of keys (on a CPU no bit depends on them).
std::unique_ptr<generate::Generator> make_engine(
    std::shared_ptr<const model::Weights> weights,
    std::shared_ptr<const text::Tokenizer> tokenizer,
    const EngineOptions& options);

}  // namespace selfalign::engine
