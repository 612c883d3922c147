// SPDX-License-Identifier: Apache-2.0
// Models with what a tuning changed in them: what export/ writes, with the
// products that torch computes.
#pragma once

#include <string>

#include "export/model_export.h"
#include "model/weights.h"

namespace selfalign::local {

// Checks base and adapter as a model to be loaded is checked, without reading
// weights, and that the base is the one that the adapter says (of a run Error
// kInput, else a warning); then exports (export/model_export.h, whose errors
// these are). The merged values are those of model::merge_lora to the bit, in
// float32, then rounded to the type; of a model that was tuned whole
// (formats::is_tuned_model) they are its own.
exports::ModelReport export_model(const exports::ModelOptions& options);

// The result of a full tuning, all weights in memory, as an HF folder in their
// type, with what the model at `base` has beside its weights.
void write_tuned_model(const std::string& base, const model::Weights& tuned,
                       const std::string& folder);
// The errors that it would end with, before there is anything to lose.
void check_tuned_model(const std::string& base, at::ScalarType dtype);

}  // namespace selfalign::local
