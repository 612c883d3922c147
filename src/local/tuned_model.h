// SPDX-License-Identifier: Apache-2.0
// Models of which all weights were tuned.
#pragma once

#include <memory>
#include <string>

#include "export/model_export.h"
#include "model/weights.h"

namespace selfalign::local {

// What such a tuning changed in the model at `base`, for export.
std::unique_ptr<exports::Delta> tuned_delta(const model::Weights& tuned,
                                            const std::string& base);

// The result of a full tuning, all weights in memory, as an HF folder in their
// type, with what the model at `base` has beside its weights.
void write_tuned_model(const std::string& base, const model::Weights& tuned,
                       const std::string& folder);
// The errors that it would end with, before there is anything to lose.
void check_tuned_model(const std::string& base, at::ScalarType dtype);

}  // namespace selfalign::local
