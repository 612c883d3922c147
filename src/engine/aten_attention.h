// SPDX-License-Identifier: Apache-2.0
// Attention of the ATen decoder: over the pages of a row's own text, one by
// one, and over the whole prefix. What is attended to follows the length in
// use, and the sizes of each call do not.
#pragma once

#include <memory>
#include <vector>

#include "engine/aten_cache.h"

namespace selfalign::engine {

// A pass of `rows` over one token of each of several texts, row = slot. The
// spans' sequences have room for their tokens. All of these must live longer.
std::unique_ptr<model::Attention> attention_of_slots(
    const formats::ModelConfig& config, const AtenPool& pool,
    const AtenPrefix* prefix, const std::vector<Span>& spans, int64_t rows);

// A pass over `rows` tokens of one text, of which the span has the first.
std::unique_ptr<model::Attention> attention_of_text(
    const formats::ModelConfig& config, const AtenPrefix* prefix,
    const Span& span, int64_t rows, at::Device device);

}  // namespace selfalign::engine
