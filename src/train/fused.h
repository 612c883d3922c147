// SPDX-License-Identifier: Apache-2.0
// Operators of a pass for a training on CPUs: one loop over the memory forward
// and one backward for each, where ATen's take several of either. On other
// devices, of other types and for other activations than silu they are ATen's.
#pragma once

#include "model/transformer.h"

namespace selfalign::train {

class FusedOperators final : public model::Operators {
 public:
  at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight,
                      double eps) const override;
  at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos,
                    const at::Tensor& sin) const override;
  at::Tensor gate(formats::Activation activation, const at::Tensor& gate,
                  const at::Tensor& up) const override;
};

}  // namespace selfalign::train
