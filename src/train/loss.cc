// SPDX-License-Identifier: Apache-2.0
#include "train/loss.h"

#include <algorithm>
#include <vector>

namespace selfalign::train {
namespace {

// Rows of logits held at a time: 128 x 49,152 float32 are 25 MB.
constexpr int64_t kChunkRows = 128;

}  // namespace

double nll_sum(const model::Weights& weights, const LossInput& input,
               double scale, at::Tensor* gradient, at::Tensor* head_gradient) {
  const at::NoGradGuard no_graph;
  const at::Tensor hidden = at::index_select(input.hidden, 0, input.rows);
  const int64_t num_rows = hidden.size(0);
  at::Tensor total = at::zeros({}, hidden.options().dtype(at::kDouble));
  std::vector<at::Tensor> parts;
  at::Tensor d_head;
  if (head_gradient != nullptr) {
    d_head = at::zeros(weights.head.sizes(),
                       weights.head.options().dtype(at::kFloat));
  }
  for (int64_t begin = 0; begin < num_rows; begin += kChunkRows) {
    const int64_t end = std::min(begin + kChunkRows, num_rows);
    const at::Tensor targets = input.targets.slice(0, begin, end).unsqueeze(1);
    const at::Tensor logits =
        model::logits(weights, hidden.slice(0, begin, end));
    const at::Tensor log_p =
        at::log_softmax(logits, -1, at::kFloat);  // [rows, vocab]
    const at::Tensor log_p_target = log_p.gather(1, targets);
    total.sub_(log_p_target.sum(at::kDouble));
    if (gradient == nullptr) continue;
    // d nll / d logits = softmax - one_hot(target).
    at::Tensor d_logits = log_p.exp_();
    d_logits.scatter_add_(1, targets,
                          at::full(targets.sizes(), -1.0, log_p.options()));
    d_logits.mul_(scale * weights.config.logit_scale);
    if (const double cap = weights.config.logit_softcap; cap != 0.0) {
      // d (c tanh(x / c)) / dx = 1 - tanh(x / c)^2
      d_logits.mul_(at::sub(at::scalar_tensor(1.0, d_logits.options()),
                            at::square(at::div(logits.to(at::kFloat), cap))));
    }
    const at::Tensor d = d_logits.to(weights.head.scalar_type());
    parts.push_back(at::mm(d, weights.head));
    if (head_gradient != nullptr) {
      d_head.add_(at::mm(d.t(), hidden.slice(0, begin, end)));
    }
  }
  if (head_gradient != nullptr) {
    *head_gradient = d_head.to(weights.head.scalar_type());
  }
  if (gradient != nullptr) {
    *gradient = at::zeros_like(input.hidden);
    if (!parts.empty()) gradient->index_copy_(0, input.rows, at::cat(parts, 0));
  }
  return total.item<double>();
}

}  // namespace selfalign::train
