// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <cmath>
#include <type_traits>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "formats/hf_names.h"

namespace selfalign::train {
namespace {

constexpr int64_t kAlignment = 16;  // floats: 64 bytes

// The matrices in the one order used everywhere; an A that projections share
// once. `visit` may put another tensor in place of the one it is given.
template <typename LoraType, typename Visit>
void for_each_matrix(LoraType& lora, Visit visit) {
  for (auto& layer : lora.layers) {
    at::Tensor before, now;  // the last A, as it was and as it is
    for (const auto of : model::kLoraPairs) {
      auto& pair = layer.*of;
      if (!pair.a.defined()) continue;
      if (pair.a.is_same(before)) {
        if constexpr (!std::is_const_v<LoraType>) pair.a = now;
      } else {
        before = pair.a;
        visit(pair.a);
        now = pair.a;
      }
      visit(pair.b);
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

std::vector<LoraShape> lora_shapes(const formats::ModelConfig& config,
                                   const formats::AdapterConfig& adapter) {
  const formats::AdapterTargets targets(adapter, "training");
  const std::vector<formats::LinearModule> modules =
      formats::linear_modules(config);
  std::vector<LoraShape> shapes;
  for (int64_t i = 0; i < config.num_layers; ++i) {
    for (const formats::LinearModule& module : modules) {
      for (const formats::ModuleRows& part : module.parts) {
        const auto settings = targets.find(
            str("model.layers.", i, '.',
                formats::kProjectionNames[size_t(part.projection)]));
        if (!settings) continue;
        shapes.push_back({i, module, *settings});
        break;
      }
    }
  }
  return shapes;
}

model::Lora init_lora(const formats::ModelConfig& config,
                      const TrainOptions& options) {
  uint64_t matrix = 0;
  model::Lora lora;
  lora.layers.resize(size_t(config.num_layers));
  for (const LoraShape& shape : lora_shapes(config, adapter_config(options))) {
    const uint64_t key =
        Hasher().add("lora init").add(options.seed).add(matrix++).key();
    const int64_t rank = shape.settings.rank, in = shape.module.in;
    const at::Tensor a = uniform(key, rank, in, 1.0 / std::sqrt(double(in)));
    for (const formats::ModuleRows& part : shape.module.parts) {
      lora.layers[size_t(shape.layer)].*
          model::kLoraPairs[size_t(part.projection)] = {
          a, at::zeros({part.rows, rank}, at::kFloat), shape.settings.scale};
    }
  }
  return lora;
}

formats::AdapterConfig adapter_config(const TrainOptions& options) {
  formats::AdapterConfig config;
  config.rank = options.rank;
  config.alpha = options.alpha;
  config.dropout = options.dropout;
  config.use_rslora = options.use_rslora;
  config.target_modules = options.target_modules;
  config.rank_pattern = {options.rank_pattern.begin(),
                         options.rank_pattern.end()};
  config.alpha_pattern = options.alpha_pattern;
  config.base_model = options.base_model;
  return config;
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
