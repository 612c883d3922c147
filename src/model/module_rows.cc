// SPDX-License-Identifier: Apache-2.0
#include "model/module_rows.h"

namespace selfalign::model {

at::Tensor rows_of(const formats::ModuleRows& part, const at::Tensor& whole) {
  if (part.rows == part.block) return whole.narrow(0, part.first, part.rows);
  return whole.view({part.rows / part.block, part.stride, -1})
      .narrow(1, part.first, part.block)
      .reshape({part.rows, -1});
}

void put_rows(const formats::ModuleRows& part, const at::Tensor& rows,
              at::Tensor& whole) {
  if (part.rows == part.block) {
    whole.narrow(0, part.first, part.rows).copy_(rows);
    return;
  }
  whole.view({part.rows / part.block, part.stride, -1})
      .narrow(1, part.first, part.block)
      .copy_(rows.view({part.rows / part.block, part.block, -1}));
}

}  // namespace selfalign::model
