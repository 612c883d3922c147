// SPDX-License-Identifier: Apache-2.0
// Projections that a family's files fuse to one tensor (formats/hf_names.h).
#pragma once

#include "formats/hf_names.h"
#include "model/aten.h"

namespace selfalign::model {

// The rows of a fused tensor, [out, in] or [out], that are one projection's,
// and back.
at::Tensor rows_of(const formats::ModuleRows& part, const at::Tensor& whole);
void put_rows(const formats::ModuleRows& part, const at::Tensor& rows,
              at::Tensor& whole);

}  // namespace selfalign::model
