// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <cmath>

#include "base/hash.h"
#include "base/random.h"

namespace selfalign::train {
namespace {

constexpr int64_t kAlignment = 16;  // floats: 64 bytes

// The matrices in the one order used everywhere.
template <typename LoraType, typename Visit>
void for_each_matrix(LoraType& lora, Visit visit) {
  for (auto& layer : lora.layers) {
    for (auto* pair : {&layer.q, &layer.k, &layer.v, &layer.o}) {
      if (!pair->a.defined()) continue;
      visit(pair->a);
      visit(pair->b);
    }
  }
}

at::Tensor uniform(uint64_t key, int64_t rows, int64_t columns, double bound) {
  at::Tensor out = at::empty({rows, columns}, at::kFloat);
  float* data = out.data_ptr<float>();
  for (int64_t i = 0; i < rows * columns; ++i) {
    data[i] = float((2.0 * draw_uniform(key, uint64_t(i)) - 1.0) * bound);
  }
  return out;
}

}  // namespace

model::Lora init_lora(const formats::ModelConfig& config,
                      const TrainOptions& options) {
  const int64_t rank = options.rank;
  const int64_t q_rows = config.num_heads * config.head_dim;
  const int64_t kv_rows = config.num_kv_heads * config.head_dim;
  uint64_t matrix = 0;
  const auto pair = [&](int64_t out, int64_t in) {
    const uint64_t key =
        Hasher().add("lora init").add(options.seed).add(matrix++).key();
    return model::LoraPair{uniform(key, rank, in, 1.0 / std::sqrt(double(in))),
                           at::zeros({out, rank}, at::kFloat)};
  };
  model::Lora lora;
  lora.scale = options.alpha / double(rank);
  for (int64_t i = 0; i < config.num_layers; ++i) {
    model::LoraLayer layer;
    layer.q = pair(q_rows, config.hidden_size);
    layer.k = pair(kv_rows, config.hidden_size);
    layer.v = pair(kv_rows, config.hidden_size);
    layer.o = pair(config.hidden_size, q_rows);
    lora.layers.push_back(std::move(layer));
  }
  return lora;
}

LoraParameters::LoraParameters(const model::Lora& initial, at::Device device)
    : lora_(initial) {
  const at::NoGradGuard no_graph;
  int64_t num_values = 0;
  const auto padded = [](int64_t n) {
    return (n + kAlignment - 1) / kAlignment * kAlignment;
  };
  for_each_matrix(initial, [&](const at::Tensor& matrix) {
    num_values += padded(matrix.numel());
  });
  values_ = at::zeros({num_values}, at::device(device).dtype(at::kFloat));
  gradients_ = at::zeros_like(values_);
  int64_t offset = 0;
  for_each_matrix(lora_, [&](at::Tensor& matrix) {
    const auto view = [&](const at::Tensor& flat) {
      return flat.narrow(0, offset, matrix.numel()).view(matrix.sizes());
    };
    at::Tensor leaf = view(values_).detach();
    leaf.copy_(matrix);
    leaf.set_requires_grad(true);
    // Backward adds in place to a gradient that is there already.
    leaf.mutable_grad() = view(gradients_).detach();
    offset += padded(matrix.numel());
    matrix = leaf;
  });
}

AdamW::AdamW(const TrainOptions& options, const at::Tensor& like)
    : beta1_(options.adam_beta1),
      beta2_(options.adam_beta2),
      epsilon_(options.adam_epsilon),
      weight_decay_(options.weight_decay),
      first_(at::zeros_like(like)),
      second_(at::zeros_like(like)) {}

void AdamW::step(const at::Tensor& values, const at::Tensor& gradients,
                 double learning_rate) {
  const at::NoGradGuard no_graph;
  ++num_steps_;
  values.mul_(1.0 - learning_rate * weight_decay_);
  first_.lerp_(gradients, 1.0 - beta1_);
  second_.mul_(beta2_).addcmul_(gradients, gradients, 1.0 - beta2_);
  const double correction1 = 1.0 - std::pow(beta1_, double(num_steps_));
  const double correction2 = 1.0 - std::pow(beta2_, double(num_steps_));
  const at::Tensor denominator =
      second_.sqrt().div_(std::sqrt(correction2)).add_(epsilon_);
  values.addcdiv_(first_, denominator, -learning_rate / correction1);
}

double clip_gradients(const at::Tensor& gradients, double max_norm) {
  const at::NoGradGuard no_graph;
  const double norm = gradients.norm().item<double>();
  if (max_norm > 0.0 && norm > max_norm) {
    gradients.mul_(max_norm / (norm + 1e-6));
  }
  return norm;
}

}  // namespace selfalign::train
