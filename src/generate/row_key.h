// SPDX-License-Identifier: Apache-2.0
// Draws that a person's seed names.
#pragma once

#include <cstdint>
#include <string>

#include "generate/generator.h"

namespace selfalign::generate {

// The key of a row: the model, the prompt, the sampling, the seed and which of
// several samples it is. So one seed gives one text, whoever asks: the
// terminal, `generate` or a server's client. Where a text ends (stop strings,
// most tokens) changes none of its draws.
uint64_t row_key(const std::string& fingerprint, const Request& request,
                 uint64_t seed, uint64_t sample);

}  // namespace selfalign::generate
