// SPDX-License-Identifier: Apache-2.0
// Adapters on disk and in memory.
#include "model/lora.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/joined.h"
#include "base/number.h"
#include "base/own_file.h"
#include "base/shown.h"
#include "formats/peft.h"
#include "formats/safetensors.h"
#include "formats/tensor_source.h"
#include "model/module_rows.h"

namespace selfalign::model {
namespace {

using formats::AdapterTensor, formats::LinearModule, formats::ModuleRows;
using formats::TensorView;

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kInput, where + ": " + what);
}

// The tensors of an adapter by layer and module.
class AdapterFile {
 public:
  AdapterFile(const std::string& folder, const formats::ModelConfig& config)
      : path_(folder + "/adapter_model.safetensors"),
        settings_(formats::read_adapter_config(folder)),
        source_(formats::open_safetensors(path_)),
        config_(config),
        modules_(formats::linear_modules(config)),
        targets_(settings_, folder + "/adapter_config.json") {
    for (const TensorView& tensor : source_->tensors()) place(tensor);
  }

  Lora read(at::Device device) const {
    Lora lora;
    lora.layers.resize(size_t(config_.num_layers));
    std::vector<std::string> missing;
    for (int64_t i = 0; i < config_.num_layers; ++i) {
      for (const LinearModule& module : modules_) {
        const std::string name = name_of(i, module);
        const auto target = targets_.find(name);
        const auto pair = pairs_.find({i, module.name});
        if (pair == pairs_.end()) {
          if (target) missing.push_back(name);
          continue;
        }
        if (!target) {
          fail(path_,
               selfalign::str("tensors of module ", name,
                              ", which adapter_config.json does not target; "
                              "the files are of two adapters"));
        }
        read_module(module, *target, pair->second, device,
                    lora.layers[size_t(i)]);
      }
    }
    if (pairs_.empty()) {
      fail(path_, "it holds no lora_A and lora_B of the model's " +
                      selfalign::str(modules_.size()) +
                      " linear modules of each layer; the adapter belongs to "
                      "another base model");
    }
    if (!missing.empty()) {
      lora.note = selfalign::str(path_, ": adapter_config.json targets ",
                                 missing.size() + pairs_.size(),
                                 " modules, the file has tensors for ",
                                 pairs_.size(), "; the others, such as ",
                                 missing[0], ", stay as the base has them");
    }
    source_->require_unchanged();
    return lora;
  }

 private:
  struct Pair {
    const TensorView* a = nullptr;
    const TensorView* b = nullptr;
  };

  std::string name_of(int64_t layer, const LinearModule& module) const {
    std::string name = formats::family_name(
        config_.family,
        selfalign::str("model.layers.", layer, '.', module.name, '.'));
    name.pop_back();
    return name;
  }

  void place(const TensorView& tensor) {
    const auto at = formats::parse_adapter_name(tensor.name, config_.family);
    const auto is_it = [&](const LinearModule& module) {
      return at && module.name == at->module;
    };
    if (!at || at->layer >= config_.num_layers ||
        std::none_of(modules_.begin(), modules_.end(), is_it)) {
      const std::string names =
          joined(modules_, ", ", [&](const LinearModule& module) {
            const std::string name = name_of(0, module);
            return name.substr(name.rfind('.') + 1);
          });
      fail(path_,
           selfalign::str("tensor '", shown(tensor.name, 200),
                          "': an adapter of this model has lora_A and lora_B "
                          "of ",
                          names, " in layers 0 to ", config_.num_layers - 1,
                          "; no other can be applied"));
    }
    Pair& pair = pairs_[{at->layer, at->module}];
    const TensorView*& side = at->is_b ? pair.b : pair.a;
    if (side != nullptr) {
      fail(path_, selfalign::str("tensors '", side->name, "' and '",
                                 tensor.name, "' are of one module"));
    }
    side = &tensor;
  }

  void read_module(const LinearModule& module,
                   const formats::ModuleSettings& target, const Pair& pair,
                   at::Device device, LoraLayer& out) const {
    if (pair.a == nullptr || pair.b == nullptr) {
      fail(path_,
           selfalign::str("tensor '", (pair.a ? pair.a : pair.b)->name,
                          "': ", pair.a ? "lora_B" : "lora_A",
                          " of that module is missing; the file is not whole"));
    }
    const at::Tensor a = read_tensor(*pair.a, {target.rank, module.in}, device);
    const at::Tensor b =
        read_tensor(*pair.b, {module.out, target.rank}, device);
    for (const ModuleRows& part : module.parts) {
      out.*kLoraPairs[size_t(part.projection)] = {
          a, module.parts.size() == 1 ? b : rows_of(part, b).contiguous(),
          target.scale};
    }
  }

  at::Tensor read_tensor(const TensorView& view,
                         const std::vector<int64_t>& shape,
                         at::Device device) const {
    if (view.shape != shape) {
      fail(path_,
           selfalign::str("tensor '", view.name,
                          "': the base model and "
                          "adapter_config.json need shape ",
                          c10::IntArrayRef(shape), ", found ",
                          c10::IntArrayRef(view.shape),
                          "; the adapter belongs to another base model, or its "
                          "adapter_config.json to another adapter"));
    }
    at::Tensor out = at::empty(shape, at::kFloat);
    try {
      formats::to_float(view, out.data_ptr<float>());
    } catch (const Error& error) {
      fail(path_, error.what());
    }
    return out.to(device);
  }

  const std::string path_;
  const formats::AdapterConfig settings_;
  const std::unique_ptr<formats::TensorSource> source_;
  const formats::ModelConfig& config_;
  const std::vector<LinearModule> modules_;
  const formats::AdapterTargets targets_;
  std::map<std::pair<int64_t, std::string>, Pair> pairs_;
};

void require_written(const std::string& path,
                     const std::vector<TensorView>& views) {
  const auto written = formats::open_safetensors(path);
  for (const TensorView& view : views) {
    const TensorView* read = written->find(view.name);
    if (read != nullptr && read->bytes == view.bytes) continue;
    throw Error(ErrorKind::kDamaged,
                selfalign::str(path, ": tensor '", view.name,
                               "' is not what was written; check the disk and "
                               "train again"));
  }
}

// The rank and alpha of a module where they are other than the adapter's.
void keep_patterns(const formats::AdapterConfig& given, const LoraPair& pair,
                   const std::string& leaf, formats::AdapterConfig& out) {
  const auto rank = double(pair.a.size(0));
  const double divisor = given.use_rslora ? std::sqrt(rank) : rank;
  if (pair.a.size(0) != given.rank) out.rank_pattern[leaf] = rank;
  if (given.alpha / divisor == pair.scale) return;
  for (const auto& [name, alpha] : given.alpha_pattern) {
    if (alpha / divisor == pair.scale) out.alpha_pattern[leaf] = alpha;
  }
}

}  // namespace

Lora load_lora(const std::string& folder, const formats::ModelConfig& config,
               at::Device device) {
  return AdapterFile(folder, config).read(device);
}

void save_lora(const std::string& folder, const Lora& lora,
               const formats::ModelConfig& config,
               formats::AdapterConfig settings) {
  const std::filesystem::path whole(folder);
  make_folder_in(whole.parent_path().string(), whole.filename().string());
  const formats::AdapterConfig given = settings;
  settings.target_modules.clear();
  settings.rank_pattern.clear();
  settings.alpha_pattern.clear();
  std::deque<at::Tensor> keep;  // holds the bytes the views point to
  std::vector<TensorView> views;
  const auto add = [&](const AdapterTensor& at, const at::Tensor& tensor) {
    keep.push_back(tensor.detach().to(at::kCPU, at::kFloat).contiguous());
    const at::Tensor& t = keep.back();
    views.push_back(
        {formats::adapter_name(at, config.family),
         formats::ElementType::kF32,
         t.sizes().vec(),
         {static_cast<const char*>(t.const_data_ptr()), size_t(t.nbytes())}});
  };
  for (const LinearModule& module : formats::linear_modules(config)) {
    const auto pair_of = [&](size_t layer,
                             const ModuleRows& part) -> const LoraPair& {
      return lora.layers.at(layer).*kLoraPairs[size_t(part.projection)];
    };
    if (!pair_of(0, module.parts[0]).a.defined()) continue;
    std::string leaf =
        formats::family_name(config.family, '.' + module.name + '.');
    leaf.pop_back();
    leaf.erase(0, leaf.rfind('.') + 1);
    settings.target_modules.push_back(leaf);
    keep_patterns(given, pair_of(0, module.parts[0]), leaf, settings);
    for (size_t i = 0; i < lora.layers.size(); ++i) {
      const at::Tensor& a = pair_of(i, module.parts[0]).a;
      at::Tensor b = pair_of(i, module.parts[0]).b;
      if (module.parts.size() > 1) {
        b = at::empty({module.out, a.size(0)}, at::kFloat);
        for (const ModuleRows& part : module.parts) {
          put_rows(part, pair_of(i, part).b.detach().to(at::kCPU), b);
        }
      }
      const auto layer = int64_t(i);
      add({layer, module.name, false}, a);
      add({layer, module.name, true}, b);
    }
  }
  const std::string path = folder + "/adapter_model.safetensors";
  formats::write_safetensors(path, views, {{"format", "pt"}});
  formats::write_adapter_config(folder, settings);
  require_written(path, views);
}

std::string lora_digest(const Lora& lora) {
  Hasher hasher;
  const auto add = [&](const at::Tensor& tensor) {
    const at::Tensor t = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    hasher.add(std::string_view(static_cast<const char*>(t.const_data_ptr()),
                                size_t(t.nbytes())));
  };
  std::string scales, last;  // each where it is other than the one before
  for (const LoraLayer& layer : lora.layers) {
    for (size_t i = 0; i < formats::kNumProjections; ++i) {
      const LoraPair& pair = layer.*kLoraPairs[i];
      if (!pair.a.defined()) continue;
      hasher.add(formats::kProjectionNames[i]);
      add(pair.a);
      add(pair.b);
      const std::string scale = selfalign::str(pair.scale);
      if (scale == last) continue;
      scales += (last.empty() ? "" : " ") + scale;
      last = scale;
    }
  }
  return hasher.add(scales).digest();
}

int64_t add_lora(const Lora& lora, const formats::ModelConfig& config,
                 const std::string& name, at::Tensor* weight) {
  const at::NoGradGuard guard;
  // "model.layers.N.", the module, ".weight".
  constexpr std::string_view kBefore = "model.layers.", kAfter = ".weight";
  if (!name.starts_with(kBefore) || !name.ends_with(kAfter)) return 0;
  const size_t dot = name.find('.', kBefore.size());
  if (dot >= name.size() - kAfter.size()) return 0;
  const auto layer =
      parse_number<int64_t>(name.substr(kBefore.size(), dot - kBefore.size()));
  if (!layer || *layer < 0 || *layer >= int64_t(lora.layers.size())) return 0;
  const std::string own =
      name.substr(dot + 1, name.size() - kAfter.size() - dot - 1);
  int64_t count = 0;
  // A file may have fused what the family's files have apart.
  for (const auto& modules :
       {formats::fused_modules(config), formats::linear_modules(config)}) {
    for (const LinearModule& module : modules) {
      if (count > 0 || module.name != own) continue;
      for (const ModuleRows& part : module.parts) {
        const LoraPair& pair =
            lora.layers[size_t(*layer)].*kLoraPairs[size_t(part.projection)];
        if (!pair.a.defined()) continue;
        ++count;
        if (weight == nullptr) continue;
        put_rows(
            part,
            at::add(rows_of(part, *weight), at::mm(pair.b, pair.a), pair.scale),
            *weight);
      }
    }
  }
  return count;
}

}  // namespace selfalign::model
