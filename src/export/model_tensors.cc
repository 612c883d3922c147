// SPDX-License-Identifier: Apache-2.0
#include "export/model_tensors.h"

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/config_out.h"
#include "formats/from_float.h"
#include "formats/hf_names.h"
#include "formats/model_path.h"

namespace selfalign::exports {
namespace {

using formats::ElementType;
using formats::GgufForm;
using formats::ModelConfig;
using formats::PlannedTensor;
using formats::TensorView;

constexpr char kFusedOfGguf[] = ".self_attn.qkv_proj.";
constexpr char kFusedOfNeox[] = ".self_attn.query_key_value.";

bool replace(std::string& name, std::string_view from, std::string_view to) {
  const size_t at = name.find(from);
  if (at == std::string::npos) return false;
  name.replace(at, from.size(), to);
  return true;
}

// Row r of a GGUF file is row order[r] of the HF folder, whose tensor is
// `name`; empty where the order is the same.
std::vector<int64_t> gguf_rows(const ModelConfig& c, const GgufForm& form,
                               const std::string& name) {
  std::vector<int64_t> order;
  const int64_t d = c.head_dim;
  const bool is_q = name.find(".self_attn.q_proj.") != std::string::npos;
  const bool is_k = name.find(".self_attn.k_proj.") != std::string::npos;
  if (form.interleaves && (is_q || is_k)) {
    for (int64_t head = 0; head < (is_q ? c.num_heads : c.num_kv_heads);
         ++head) {
      for (int64_t i = 0; i < d; ++i) {
        order.push_back(head * d + i / 2 + i % 2 * (d / 2));
      }
    }
  } else if (c.family == "gpt_neox" &&
             name.find(kFusedOfNeox) != std::string::npos) {
    for (int64_t part = 0; part < 3; ++part) {
      for (int64_t head = 0; head < c.num_heads; ++head) {
        for (int64_t i = 0; i < d; ++i) {
          order.push_back((head * 3 + part) * d + i);
        }
      }
    }
  }
  return order;
}

// Rows in another order: out[r] = in[order[r]] to GGUF, the inverse from it.
std::string reordered(std::string_view in, const std::vector<int64_t>& order,
                      bool to_gguf) {
  if (order.empty()) return std::string(in);
  const size_t row = in.size() / order.size();
  std::string out(in.size(), '\0');
  for (size_t r = 0; r < order.size(); ++r) {
    const size_t from = to_gguf ? size_t(order[r]) : r;
    const size_t to = to_gguf ? r : size_t(order[r]);
    std::memcpy(&out[to * row], in.data() + from * row, row);
  }
  return out;
}

std::string_view bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(float)};
}

// A tensor on its way.
struct Way {
  TensorView view;                // in the model's files
  std::string name;               // LLaMA's, of an HF folder
  std::vector<int64_t> from, to;  // orders of GGUF files; empty: none
  const Delta* delta = nullptr;   // null: it has no part here
  bool adds_one = false;          // to a norm, as conversions to GGUF do
  ElementType type = ElementType::kF32;
};

std::string make(const Way& way) {
  const bool is_same_order = way.from == way.to;
  if (way.delta == nullptr && !way.adds_one && way.type == way.view.type) {
    if (is_same_order) return std::string(way.view.bytes);
    return reordered(reordered(way.view.bytes, way.from, false), way.to, true);
  }
  const int64_t count = way.view.num_elements();
  std::vector<float> values(static_cast<size_t>(count));
  formats::to_float(way.view, values.data());
  const auto order = [&values](const std::vector<int64_t>& rows, bool to_gguf) {
    if (rows.empty()) return;
    const std::string moved = reordered(bytes_of(values), rows, to_gguf);
    std::memcpy(values.data(), moved.data(), moved.size());
  };
  if (way.delta != nullptr || !is_same_order) {
    order(way.from, false);
    if (way.delta != nullptr) {
      way.delta->apply(way.name, way.view.shape, values.data());
    }
    order(way.to, true);
  }
  if (way.adds_one) {
    for (float& value : values) value += 1.0f;
  }
  return formats::from_float(way.type, values.data(), count,
                             "tensor " + way.view.name);
}

PlannedTensor planned(std::string name, Way way) {
  PlannedTensor tensor{std::move(name), way.type, way.view.shape, {}};
  tensor.make = [way = std::move(way)] { return make(way); };
  return tensor;
}

// The tensor as an HF folder has it.
Way way_of(const BaseModel& model, const TensorView& view, const Delta* delta) {
  Way way;
  way.view = view;
  way.name = view.name;
  if (model.gguf != nullptr) {
    if (model.config.family == "gpt_neox") {
      replace(way.name, kFusedOfGguf, kFusedOfNeox);
    }
    way.from =
        gguf_rows(model.config, formats::gguf_form(model.config.family).value(),
                  way.name);
  }
  if (delta != nullptr && delta->parts(way.name) > 0) way.delta = delta;
  return way;
}

ElementType number_type(const Way& way, NumberType wanted) {
  const ElementType own = way.view.type;
  const bool is_number = own != ElementType::kI64 && own != ElementType::kI32 &&
                         own != ElementType::kU8 && own != ElementType::kBool;
  if (!is_number) return own;
  if (wanted) return *wanted;
  if (own == ElementType::kF64 && way.delta == nullptr) return own;
  const bool is_float = own == ElementType::kF32 || own == ElementType::kF16 ||
                        own == ElementType::kBF16;
  return is_float ? own : ElementType::kF32;
}

// The norms of StableLM's heads: one tensor in GGUF, one for each in HF.
constexpr char kHeadNorms[] = "_layernorm.norms.";

bool is_norm(const std::string& name) {
  return name.ends_with("norm.weight") || name.ends_with("norm.bias");
}

// Tables of old conversions, which no reader asks for.
bool is_table(const TensorView& tensor) {
  return tensor.type == ElementType::kBool ||
         tensor.name.ends_with("rotary_emb.inv_freq") ||
         tensor.name.ends_with(".attention.bias") ||
         tensor.name.ends_with(".attention.masked_bias");
}

ElementType gguf_type(const BaseModel& model, const Way& way,
                      const std::string& name, NumberType wanted) {
  if (way.view.shape.size() == 1 || is_norm(name)) return ElementType::kF32;
  const bool is_gguf = model.gguf != nullptr;
  if (!wanted && is_gguf && way.delta == nullptr) return way.view.type;
  ElementType type = number_type(way, wanted);
  if (type == ElementType::kF64) type = ElementType::kF32;
  const bool is_output =
      name == "output.weight" ||
      (name == "token_embd.weight" && model.config.tied_embeddings);
  if (type == ElementType::kQ4_0 && is_output) type = ElementType::kQ8_0;
  if (way.view.shape.back() % formats::block_size(type) != 0) {
    type = ElementType::kF16;
  }
  return type;
}

[[noreturn]] void refuse_place(const BaseModel& model, const TensorView& view,
                               const GgufForm& form) {
  throw Error(ErrorKind::kInput,
              str(model.path, ": tensor ", view.name,
                  ": a GGUF file of architecture ", form.architecture,
                  " has no place for it; export with --model merged"));
}

// The first of its kind stands for all.
PlannedTensor joined_norms(const BaseModel& model, const std::string& first,
                           const GgufForm& form, const Delta* delta) {
  std::string name = first;
  replace(name, std::string(kHeadNorms) + "0.", "_norm.");
  const bool is_q = name.find("self_attn.q") != std::string::npos;
  const int64_t heads =
      is_q ? model.config.num_heads : model.config.num_kv_heads;
  PlannedTensor tensor{formats::gguf_tensor_name(name, form.naming),
                       ElementType::kF32,
                       {heads, model.config.head_dim},
                       {}};
  tensor.make = [&model, first, heads, delta] {
    std::string all;
    for (int64_t head = 0; head < heads; ++head) {
      std::string own = first;
      replace(own, std::string(kHeadNorms) + "0.", str(kHeadNorms, head, '.'));
      const TensorView* view = model.tensors->find(own);
      SELFALIGN_CHECK(view != nullptr, own);
      std::vector<float> values(static_cast<size_t>(view->num_elements()));
      formats::to_float(*view, values.data());
      if (delta != nullptr && delta->parts(own) > 0) {
        delta->apply(own, view->shape, values.data());
      }
      all += bytes_of(values);
    }
    return all;
  };
  return tensor;
}

void add_split_norms(const BaseModel& model, const TensorView& view,
                     const Delta* delta, std::vector<PlannedTensor>& out) {
  const int64_t heads = view.shape[0];
  for (int64_t head = 0; head < heads; ++head) {
    Way way;
    way.view = view;
    way.view.name = view.name;
    replace(way.view.name, "_norm.", str(kHeadNorms, head, '.'));
    way.view.shape = {view.shape[1]};
    const size_t bytes = view.bytes.size() / static_cast<size_t>(heads);
    way.view.bytes =
        view.bytes.substr(static_cast<size_t>(head) * bytes, bytes);
    way.name = way.view.name;
    if (delta != nullptr && delta->parts(way.name) > 0) way.delta = delta;
    way.type = ElementType::kF32;
    out.push_back(
        planned(formats::family_name(model.config.family, way.view.name), way));
  }
}

}  // namespace

BaseModel open_base_model(const std::string& path) {
  return {formats::open_model_files(path), path};
}

int64_t num_changed(const BaseModel& model, const Delta& delta) {
  int64_t tensors = 0, parts = 0;
  for (const TensorView& view : model.tensors->tensors()) {
    const int64_t own = delta.parts(way_of(model, view, nullptr).name);
    tensors += own > 0;
    parts += own;
  }
  if (parts == delta.num_parts()) return tensors;
  throw Error(ErrorKind::kInput,
              str(model.path, ": expected tensors for the ", delta.num_parts(),
                  " parts that the tuning changes, found those of ", parts,
                  "; it belongs to another base model"));
}

std::vector<PlannedTensor> hf_tensors(const BaseModel& model,
                                      const Delta* delta, NumberType type) {
  std::vector<PlannedTensor> tensors;
  for (const TensorView& view : model.tensors->tensors()) {
    if (model.gguf != nullptr &&
        model.config.qk_norm == formats::QkNorm::kEachHead &&
        view.name.ends_with("_norm.weight") && view.shape.size() == 2) {
      add_split_norms(model, view, delta, tensors);
      continue;
    }
    Way way = way_of(model, view, delta);
    way.type = number_type(way, type);
    std::string name = formats::family_name(model.config.family, way.name);
    tensors.push_back(planned(std::move(name), std::move(way)));
  }
  return tensors;
}

std::vector<PlannedTensor> gguf_tensors(const BaseModel& model,
                                        const GgufForm& form,
                                        const Delta* delta, NumberType type) {
  std::vector<PlannedTensor> tensors;
  const ModelConfig& config = model.config;
  for (auto& [name, values] :
       formats::gguf_tables(formats::gguf_config(config, form, model.path))) {
    tensors.push_back(
        {name,
         ElementType::kF32,
         {static_cast<int64_t>(values.size())},
         [values = values] { return std::string(bytes_of(values)); }});
  }
  for (const TensorView& view : model.tensors->tensors()) {
    if (is_table(view)) continue;
    if (config.tied_embeddings && view.name == "lm_head.weight") continue;
    const size_t norms = view.name.find(kHeadNorms);
    if (norms != std::string::npos) {
      if (view.name.find(".norms.0.") != std::string::npos) {
        tensors.push_back(joined_norms(model, view.name, form, delta));
      }
      continue;
    }
    Way way = way_of(model, view, delta);
    if (form.interleaves && way.name.find(kFusedOfGguf) != std::string::npos) {
      refuse_place(model, view, form);
    }
    way.to = gguf_rows(config, form, way.name);
    std::string name = way.name;
    if (config.family == "gpt_neox") replace(name, kFusedOfNeox, kFusedOfGguf);
    name = formats::gguf_tensor_name(name, form.naming);
    if (name.empty()) refuse_place(model, view, form);
    way.adds_one = config.norm == formats::NormKind::kRmsPlusOne &&
                   way.name.ends_with("norm.weight");
    way.type = gguf_type(model, way, name, type);
    tensors.push_back(planned(std::move(name), std::move(way)));
  }
  return tensors;
}

}  // namespace selfalign::exports
