// SPDX-License-Identifier: Apache-2.0
// Models with what a tuning changed in them: what export/ writes, with the
// products that torch computes.
#pragma once

#include "export/model_export.h"

namespace selfalign::local {

// Checks base and adapter as a model to be loaded is checked, without reading
// weights, and that the base is the one that the adapter says (of a run Error
// kInput, else a warning); then exports (export/model_export.h, whose errors
// these are). The merged values are those of model::merge_lora to the bit, in
// float32, then rounded to the type; of a model that was tuned whole
// (formats::is_tuned_model) they are its own.
exports::ModelReport export_model(const exports::ModelOptions& options);

}  // namespace selfalign::local
