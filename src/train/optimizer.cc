// SPDX-License-Identifier: Apache-2.0
#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/profile.h"
#include "base/random.h"
#include "formats/hf_names.h"
#include "model/weight_places.h"

namespace selfalign::train {
namespace {

constexpr int64_t kAlignment = 16;  // floats: 64 bytes

int64_t padded(int64_t count) {
  return (count + kAlignment - 1) / kAlignment * kAlignment;
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

void Parameters::adopt(const std::vector<at::Tensor*>& matrices,
                       const std::vector<at::Tensor*>& vectors,
                       at::Device device) {
  const auto size = [](const std::vector<at::Tensor*>& tensors) {
    int64_t sum = 0;
    for (const at::Tensor* tensor : tensors) sum += padded(tensor->numel());
    return sum;
  };
  num_decayed_ = size(matrices);
  values_ = at::zeros({num_decayed_ + size(vectors)},
                      at::TensorOptions(at::kFloat).device(device));
  gradients_ = at::zeros_like(values_);
  int64_t offset = 0;
  for (const auto* tensors : {&matrices, &vectors}) {
    for (at::Tensor* tensor : *tensors) {
      const auto view = [&](const at::Tensor& flat) {
        return flat.narrow(0, offset, tensor->numel()).view(tensor->sizes());
      };
      at::Tensor leaf = view(values_).detach();
      leaf.copy_(*tensor);
      leaf.set_requires_grad(true);
      // Backward adds in place to a gradient that is there already.
      leaf.mutable_grad() = view(gradients_).detach();
      offset += padded(tensor->numel());
      *tensor = leaf;
    }
  }
}

LoraParameters::LoraParameters(const model::Weights& base,
                               const model::Lora& initial)
    : base_(base), lora_(initial) {
  std::vector<at::Tensor*> matrices;
  std::vector<std::pair<at::Tensor*, at::Tensor*>>
      shared;  // A, and whose it is
  for (model::LoraLayer& layer : lora_.layers) {
    at::Tensor* last = nullptr;
    for (const auto of : model::kLoraPairs) {
      model::LoraPair& pair = layer.*of;
      if (!pair.a.defined()) continue;
      if (last != nullptr && pair.a.is_same(*last)) {
        shared.emplace_back(&pair.a, last);
      } else {
        last = &pair.a;
        matrices.push_back(last);
      }
      matrices.push_back(&pair.b);
    }
  }
  adopt(matrices, {}, base.device());
  for (const auto& [a, owner] : shared) *a = *owner;
}

WeightParameters::WeightParameters(const model::Weights& initial)
    : masters_(initial), dtype_(initial.dtype()) {
  SELFALIGN_CHECK(initial.is_held());
  std::vector<at::Tensor*> matrices, vectors;
  model::visit_weights(
      masters_, [&](at::Tensor& tensor, const model::TensorPlace& place) {
        (place.shape.size() > 1 ? matrices : vectors).push_back(&tensor);
      });
  adopt(matrices, vectors, initial.device());
  if (masters_.config.tied_embeddings) masters_.head = masters_.embedding;
}

model::Weights WeightParameters::weights() const {
  model::Weights rounded = masters_;
  model::visit_weights(rounded,
                       [&](at::Tensor& tensor, const model::TensorPlace&) {
                         tensor = tensor.to(dtype_);
                       });
  // A token's gradients are added up in float32.
  rounded.embedding = masters_.embedding;
  if (rounded.config.tied_embeddings) {
    rounded.head = rounded.embedding.to(dtype_);
  }
  return rounded;
}

std::string weights_digest(const model::Weights& weights) {
  Hasher hasher;
  model::Weights all = weights;
  model::visit_weights(all, [&](const at::Tensor& tensor,
                                const model::TensorPlace& place) {
    const at::Tensor t = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    hasher.add(place.name)
        .add(
            {static_cast<const char*>(t.const_data_ptr()), size_t(t.nbytes())});
  });
  return hasher.digest();
}

AdamW::AdamW(const TrainOptions& options, const at::Tensor& like,
             int64_t num_decayed)
    : beta1_(options.adam_beta1),
      beta2_(options.adam_beta2),
      epsilon_(options.adam_epsilon),
      weight_decay_(options.weight_decay),
      num_decayed_(num_decayed),
      first_(at::zeros_like(like)),
      second_(at::zeros_like(like)) {}

void AdamW::step(const at::Tensor& values, const at::Tensor& gradients,
                 double learning_rate) {
  const ProfilePart profiled("optimizer");
  const at::NoGradGuard no_graph;
  ++num_steps_;
  values.narrow(0, 0, num_decayed_).mul_(1.0 - learning_rate * weight_decay_);
  const double correction1 = 1.0 - std::pow(beta1_, double(num_steps_));
  const double correction2 = 1.0 - std::pow(beta2_, double(num_steps_));
  // A part at a time, so that no fifth vector is in memory.
  constexpr int64_t kPart = int64_t{1} << 22;
  for (int64_t begin = 0; begin < values.numel(); begin += kPart) {
    const auto part = [&](const at::Tensor& whole) {
      return whole.narrow(0, begin, std::min(kPart, whole.numel() - begin));
    };
    const at::Tensor gradient = part(gradients);
    const at::Tensor first = part(first_).lerp_(gradient, 1.0 - beta1_);
    const at::Tensor second =
        part(second_).mul_(beta2_).addcmul_(gradient, gradient, 1.0 - beta2_);
    const at::Tensor denominator =
        second.sqrt().div_(std::sqrt(correction2)).add_(epsilon_);
    part(values).addcdiv_(first, denominator, -learning_rate / correction1);
  }
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
