// SPDX-License-Identifier: Apache-2.0
// Negative log-likelihood at the positions that have a target, with its
// gradient by the hidden states computed in the same pass. Apart from autograd
// because a vocabulary of 49,152 makes logits the largest tensor of training:
// here a chunk of rows is turned into loss and gradient and forgotten.
#pragma once

#include "model/transformer.h"

namespace selfalign::train {

struct LossInput {
  at::Tensor hidden;   // [tokens, hidden], final hidden states, no graph
  at::Tensor rows;     // [n] int64, rows of `hidden` that predict a target
  at::Tensor targets;  // [n] int64
};

// Sum of the negative log-likelihoods (natural logarithm), in float32 from
// logits in the weights' dtype. With `gradient`, also stores there
// d(scale * sum) / d(hidden), [tokens, hidden] in hidden's dtype, and with
// `head_gradient` d(scale * sum) / d(head), [vocab, hidden] in the head's,
// added up in float32.
double nll_sum(const model::Weights& weights, const LossInput& input,
               double scale = 1.0, at::Tensor* gradient = nullptr,
               at::Tensor* head_gradient = nullptr);

}  // namespace selfalign::train
