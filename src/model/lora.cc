// SPDX-License-Identifier: Apache-2.0
// Adapters on disk and in memory.
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/own_file.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "formats/tensor_source.h"
#include "model/transformer.h"

namespace selfalign::model {
namespace {

struct Target {
  const char* name;
  LoraPair LoraLayer::*pair;
  at::Tensor LayerWeights::*weight;
};
constexpr Target kTargets[] = {
    {"q_proj", &LoraLayer::q, &LayerWeights::q},
    {"k_proj", &LoraLayer::k, &LayerWeights::k},
    {"v_proj", &LoraLayer::v, &LayerWeights::v},
    {"o_proj", &LoraLayer::o, &LayerWeights::o},
};

std::string tensor_name(size_t layer, const char* target, const char* side) {
  return selfalign::str("base_model.model.model.layers.", layer, ".self_attn.",
                        target, ".lora_", side, ".weight");
}

// [out, in] of a target's weight.
std::pair<int64_t, int64_t> target_shape(const formats::ModelConfig& c,
                                         const std::string& target) {
  const int64_t q_rows = c.num_heads * c.head_dim;
  if (target == "q_proj") return {q_rows, c.hidden_size};
  if (target == "o_proj") return {c.hidden_size, q_rows};
  return {c.num_kv_heads * c.head_dim, c.hidden_size};
}

at::Tensor read_tensor(const formats::TensorSource& source,
                       const std::string& where, const std::string& name,
                       const std::vector<int64_t>& shape, at::Device device) {
  const formats::TensorView* view = source.find(name);
  if (view == nullptr || view->shape != shape) {
    throw Error(
        ErrorKind::kInput,
        selfalign::str(
            where, ": expected tensor '", name, "' of shape ",
            c10::IntArrayRef(shape), ", found ",
            view ? selfalign::str(c10::IntArrayRef(view->shape)) : "none",
            "; the adapter belongs to another base model"));
  }
  at::Tensor out = at::empty(shape, at::kFloat);
  formats::to_float(*view, out.data_ptr<float>());
  return out.to(device);
}

}  // namespace

Lora load_lora(const std::string& folder, const formats::ModelConfig& config,
               at::Device device) {
  const formats::AdapterConfig adapter = formats::read_adapter_config(folder);
  const std::string path = folder + "/adapter_model.safetensors";
  const auto source = formats::open_safetensors(path);
  Lora lora;
  lora.scale = adapter.alpha / double(adapter.rank);
  lora.layers.resize(config.num_layers);
  std::set<std::string> taken;
  const auto read = [&](const std::string& name,
                        const std::vector<int64_t>& shape) {
    taken.insert(name);
    return read_tensor(*source, path, name, shape, device);
  };
  for (size_t i = 0; i < lora.layers.size(); ++i) {
    for (const Target& target : kTargets) {
      if (std::find(adapter.target_modules.begin(),
                    adapter.target_modules.end(),
                    target.name) == adapter.target_modules.end()) {
        continue;
      }
      const auto [out, in] = target_shape(config, target.name);
      LoraPair& pair = lora.layers[i].*target.pair;
      pair.a = read(tensor_name(i, target.name, "A"), {adapter.rank, in});
      pair.b = read(tensor_name(i, target.name, "B"), {out, adapter.rank});
    }
  }
  for (const formats::TensorView& tensor : source->tensors()) {
    if (taken.contains(tensor.name)) continue;
    throw Error(
        ErrorKind::kInput,
        selfalign::str(path, ": tensor '", tensor.name,
                       "': this program cannot apply it, only lora_A and "
                       "lora_B of target_modules among q_proj, k_proj, v_proj "
                       "and o_proj; use an adapter of attention targets"));
  }
  if (taken.empty()) {
    throw Error(ErrorKind::kInput,
                path +
                    ": none of q_proj, k_proj, v_proj and o_proj is among the "
                    "target_modules; use an adapter of attention targets");
  }
  source->require_unchanged();
  return lora;
}

void save_lora(const std::string& folder, const Lora& lora, double alpha,
               double dropout, const std::string& base_model) {
  const std::filesystem::path whole(folder);
  make_folder_in(whole.parent_path().string(), whole.filename().string());
  formats::AdapterConfig config;
  config.alpha = alpha;
  config.dropout = dropout;
  config.base_model = base_model;
  config.target_modules.clear();
  std::vector<at::Tensor> keep;  // holds the bytes the views point to
  std::vector<formats::TensorView> views;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    keep.push_back(tensor.detach().to(at::kCPU, at::kFloat).contiguous());
    const at::Tensor& t = keep.back();
    views.push_back(
        {name,
         formats::ElementType::kF32,
         t.sizes().vec(),
         {static_cast<const char*>(t.const_data_ptr()), size_t(t.nbytes())}});
  };
  for (const Target& target : kTargets) {
    if (!(lora.layers.at(0).*target.pair).a.defined()) continue;
    config.target_modules.push_back(target.name);
    for (size_t i = 0; i < lora.layers.size(); ++i) {
      const LoraPair& pair = lora.layers[i].*target.pair;
      config.rank = pair.a.size(0);
      add(tensor_name(i, target.name, "A"), pair.a);
      add(tensor_name(i, target.name, "B"), pair.b);
    }
  }
  formats::write_safetensors(folder + "/adapter_model.safetensors", views,
                             {{"format", "pt"}});
  formats::write_adapter_config(folder, config);
  const auto written =
      formats::open_safetensors(folder + "/adapter_model.safetensors");
  for (const formats::TensorView& view : views) {
    const formats::TensorView* read = written->find(view.name);
    if (read == nullptr || read->bytes != view.bytes) {
      throw Error(ErrorKind::kDamaged,
                  selfalign::str(folder,
                                 ": expected the adapter as written, found "
                                 "tensor '",
                                 view.name,
                                 "' changed; check the disk and train again"));
    }
  }
}

std::string lora_digest(const Lora& lora) {
  Hasher hasher;
  const auto add = [&](const at::Tensor& tensor) {
    const at::Tensor t = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    hasher.add(std::string_view(static_cast<const char*>(t.const_data_ptr()),
                                size_t(t.nbytes())));
  };
  for (const LoraLayer& layer : lora.layers) {
    for (const Target& target : kTargets) {
      const LoraPair& pair = layer.*target.pair;
      if (!pair.a.defined()) continue;
      hasher.add(target.name);
      add(pair.a);
      add(pair.b);
    }
  }
  hasher.add(selfalign::str(lora.scale));
  return hasher.digest();
}

void merge_lora(Weights& weights, const Lora& lora) {
  SELFALIGN_CHECK(lora.layers.size() == weights.layers.size());
  const c10::InferenceMode no_gradients(false);
  const at::NoGradGuard guard;
  for (size_t i = 0; i < lora.layers.size(); ++i) {
    for (const Target& target : kTargets) {
      const LoraPair& pair = lora.layers[i].*target.pair;
      if (!pair.a.defined()) continue;
      at::Tensor& weight = weights.layers[i].*target.weight;
      weight =
          at::add(weight.to(at::kFloat), at::mm(pair.b, pair.a), lora.scale)
              .to(weight.scalar_type());
    }
  }
  Hasher hasher;
  weights.digest = hasher.add(weights.digest).add(lora_digest(lora)).digest();
}

}  // namespace selfalign::model
