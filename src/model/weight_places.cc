// SPDX-License-Identifier: Apache-2.0
#include "model/weight_places.h"

#include "base/error.h"
#include "model/module_rows.h"

namespace selfalign::model {
namespace {

using formats::ModelConfig;
using formats::Projection;

constexpr char kAllHeads[] = "_norm.weight";
constexpr char kOneHead[] = "_layernorm.norms.";

void visit_norm(const ModelConfig& c, const std::string& name, Norm& norm,
                const VisitTensor& visit) {
  visit(norm.weight, {.name = name + ".weight", .shape = {c.hidden_size}});
  if (c.norm_bias) {
    visit(norm.bias, {.name = name + ".bias", .shape = {c.hidden_size}});
  }
}

// The norms behind the first, by names that the block's form decides.
void visit_later_norms(const ModelConfig& c, const std::string& p,
                       LayerWeights& w, const VisitTensor& visit) {
  using Form = formats::BlockForm;
  const bool is_sandwich = c.block == Form::kSandwich;
  if (is_sandwich || c.block == Form::kPost) {
    visit_norm(c, p + "post_attention_layernorm", w.attention_norm, visit);
    if (is_sandwich) {
      visit_norm(c, p + "pre_feedforward_layernorm", w.mlp_norm, visit);
    }
    visit_norm(c, p + "post_feedforward_layernorm", w.mlp_out_norm, visit);
  } else if (c.block != Form::kParallelOneNorm) {
    visit_norm(c, p + "post_attention_layernorm", w.mlp_norm, visit);
  }
}

void visit_qk_norm(const ModelConfig& c, const std::string& name, int64_t heads,
                   at::Tensor& weight, const VisitTensor& visit) {
  using formats::QkNorm;
  if (c.qk_norm == QkNorm::kNone) return;
  TensorPlace place{.name = name + kAllHeads, .shape = {heads * c.head_dim}};
  if (c.qk_norm == QkNorm::kHead) place.shape = {c.head_dim};
  if (c.qk_norm == QkNorm::kEachHead) place.num_norms = heads;
  visit(weight, place);
}

void visit_layer(const ModelConfig& c, int64_t i, LayerWeights& w,
                 const VisitTensor& visit) {
  const std::string p = selfalign::str("model.layers.", i, ".");
  const std::string a = p + "self_attn.", m = p + "mlp.";
  const int64_t q_rows = c.num_heads * c.head_dim;
  const int64_t kv_rows = c.num_kv_heads * c.head_dim;
  const auto projection = [&](Projection which) {
    visit_projection(c, i, which, w.*kProjections[size_t(which)], visit);
  };
  const auto bias = [&](bool has, const std::string& name, int64_t size,
                        at::Tensor& tensor, int64_t rotary_heads = 0) {
    if (!has) return;
    visit(tensor, {.name = name + ".bias",
                   .shape = {size},
                   .rotary_heads = rotary_heads});
  };
  if (c.block != formats::BlockForm::kPost) {
    visit_norm(c, p + "input_layernorm", w.input_norm, visit);
  }
  using enum Projection;
  for (const Projection which : {kQ, kK, kV, kO}) projection(which);
  bias(c.qkv_bias, a + "q_proj", q_rows, w.q_bias, c.num_heads);
  bias(c.qkv_bias, a + "k_proj", kv_rows, w.k_bias, c.num_kv_heads);
  bias(c.qkv_bias, a + "v_proj", kv_rows, w.v_bias);
  bias(c.o_bias, a + "o_proj", c.hidden_size, w.o_bias);
  visit_qk_norm(c, a + "q", c.num_heads, w.q_norm.weight, visit);
  visit_qk_norm(c, a + "k", c.num_kv_heads, w.k_norm.weight, visit);
  visit_later_norms(c, p, w, visit);
  for (const Projection which : {kGate, kUp, kDown}) projection(which);
  const bool has_gate_bias = c.mlp_bias && c.gated;
  bias(has_gate_bias, m + "gate_proj", c.intermediate_size, w.gate_bias);
  bias(c.mlp_bias, m + "up_proj", c.intermediate_size, w.up_bias);
  bias(c.mlp_bias, m + "down_proj", c.hidden_size, w.down_bias);
}

}  // namespace

TensorPlace TensorPlace::of_head(int64_t head) const {
  SELFALIGN_CHECK(num_norms > 0 && name.ends_with(kAllHeads), name);
  const std::string stem =
      name.substr(0, name.size() - std::string_view(kAllHeads).size());
  return {.name = selfalign::str(stem, kOneHead, head, ".weight"),
          .shape = {shape[0] / num_norms}};
}

void visit_projection(const ModelConfig& c, int64_t layer, Projection which,
                      at::Tensor& tensor, const VisitTensor& visit) {
  const bool is_mlp = which >= Projection::kGate;
  TensorPlace place;
  place.name =
      selfalign::str("model.layers.", layer, is_mlp ? ".mlp." : ".self_attn.",
                     formats::kProjectionNames[size_t(which)], ".weight");
  const int64_t q_rows = c.num_heads * c.head_dim;
  const int64_t kv_rows = c.num_kv_heads * c.head_dim;
  const int64_t hidden = c.hidden_size, wide = c.intermediate_size;
  switch (which) {
    case Projection::kQ:
      place.shape = {q_rows, hidden};
      place.rotary_heads = c.num_heads;
      break;
    case Projection::kK:
      place.shape = {kv_rows, hidden};
      place.rotary_heads = c.num_kv_heads;
      break;
    case Projection::kV:
      place.shape = {kv_rows, hidden};
      break;
    case Projection::kO:
      place.shape = {hidden, q_rows};
      break;
    case Projection::kGate:
      if (!c.gated) return;
      place.shape = {wide, hidden};
      break;
    case Projection::kUp:
      place.shape = {wide, hidden};
      break;
    case Projection::kDown:
      place.shape = {hidden, wide};
      break;
  }
  visit(tensor, place);
}

TensorPlace embedding_place(const ModelConfig& c) {
  return {.name = kEmbedding, .shape = {c.vocab_size, c.hidden_size}};
}

TensorPlace head_place(const ModelConfig& c) {
  return {.name = kHead, .shape = {c.vocab_size, c.hidden_size}};
}

void visit_weights(Weights& weights, const VisitTensor& visit) {
  const ModelConfig& c = weights.config;
  visit(weights.embedding, embedding_place(c));
  for (int64_t i = 0; i < c.num_layers; ++i) {
    visit_layer(c, i, weights.layers[size_t(i)], visit);
  }
  visit_norm(c, "model.norm", weights.final_norm, visit);
  if (!c.tied_embeddings) visit(weights.head, head_place(c));
}

NamedTensors::NamedTensors(const Weights& weights) : config_(weights.config) {
  Weights all = weights;
  visit_weights(all, [this](at::Tensor& tensor, const TensorPlace& place) {
    num_values_ += tensor.numel();
    for (int64_t head = 0; head < place.num_norms; ++head) {
      const TensorPlace own = place.of_head(head);
      tensors_[own.name] = tensor.narrow(0, head * own.shape[0], own.shape[0]);
    }
    tensors_[place.name] = tensor;
  });
}

int64_t NamedTensors::put(const std::string& name, at::Tensor* values) const {
  if (const auto found = tensors_.find(name); found != tensors_.end()) {
    if (values != nullptr) {
      values->copy_(found->second.view(values->sizes()));
    }
    return found->second.numel();
  }
  int64_t count = 0;
  for (const formats::LinearModule& module : formats::fused_modules(config_)) {
    const std::string fused = '.' + module.name + '.';
    const size_t at = name.find(fused);
    if (at == std::string::npos) continue;
    const size_t leaf = fused.rfind('.', fused.size() - 2);
    for (const formats::ModuleRows& part : module.parts) {
      std::string own = name;
      own.replace(at + leaf + 1, fused.size() - leaf - 2,
                  formats::kProjectionNames[size_t(part.projection)]);
      const auto found = tensors_.find(own);
      if (found == tensors_.end()) continue;
      count += found->second.numel();
      if (values != nullptr) put_rows(part, found->second, *values);
    }
  }
  return count;
}

}  // namespace selfalign::model
