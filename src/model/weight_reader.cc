// SPDX-License-Identifier: Apache-2.0
#include "model/weight_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/forget_pages.h"

namespace selfalign::model {
namespace {

using formats::ModelConfig;
using formats::Projection;

// Elements decoded at a time, so that no second copy of a matrix is in memory.
constexpr int64_t kChunk = int64_t{1} << 20;

const char* why_missing(const std::string& name) {
  return name == kHead ? "if the model's output is its embedding, "
                         "config.json must say tie_word_embeddings: true"
                       : "the files are not the whole model that its "
                         "configuration describes";
}

// Elements of a view to `out`, which has as many.
void decode(const formats::TensorView& view, const at::Tensor& out) {
  const int64_t rows = view.shape[0];
  const int64_t columns = view.num_elements() / std::max<int64_t>(rows, 1);
  const size_t row_bytes = view.bytes.size() / size_t(rows);
  const bool is_cut = view.shape.size() > 1;
  const int64_t step =
      is_cut ? std::max<int64_t>(1, kChunk / std::max<int64_t>(columns, 1))
             : rows;
  at::Tensor floats;
  for (int64_t row = 0; row < rows; row += step) {
    formats::TensorView part = view;
    part.shape[0] = std::min(step, rows - row);
    part.bytes = view.bytes.substr(size_t(row) * row_bytes,
                                   size_t(part.shape[0]) * row_bytes);
    const int64_t count = part.num_elements();
    if (!floats.defined()) floats = at::empty({count}, at::kFloat);
    formats::to_float(part, floats.data_ptr<float>());
    out.narrow(0, row * columns, count).copy_(floats.narrow(0, 0, count));
  }
}

}  // namespace

at::Tensor WeightReader::read(const std::string& name,
                              const std::vector<int64_t>& shape) {
  const Views parts = find(name, shape);
  return mode_ == Mode::kCheck ? at::Tensor() : values(parts, shape);
}

at::Tensor WeightReader::matrix(const std::string& name,
                                const std::vector<int64_t>& shape) {
  const Views parts = find(name, shape);
  if (mode_ == Mode::kCheck) return {};
  at::Tensor matrix =
      mode_ == Mode::kDigest
          ? at::empty(shape, at::TensorOptions(dtype_).device(at::kMeta))
          : values(parts, shape);
  // The pages of the file are not ours to hold beside the values.
  for (const formats::TensorView& part : parts) forget_pages(part.bytes);
  return matrix;
}

at::Tensor WeightReader::rotary(const std::string& name, int64_t heads,
                                const std::vector<int64_t>& shape) {
  const at::Tensor t =
      shape.size() == 1 ? read(name, shape) : matrix(name, shape);
  if (!t.defined() || t.is_meta() || !source_.interleaved_rope_rows()) return t;
  return t.view({heads, config_.head_dim / 2, 2, -1})
      .transpose(1, 2)
      .reshape(shape);
}

WeightReader::Views WeightReader::find(const std::string& name,
                                       const std::vector<int64_t>& shape) {
  Views parts = fused_parts(name, shape);
  if (const formats::TensorView* view = source_.find(name)) {
    if (!parts.empty()) {
      refuse(name,
             "it stands alone and within a fused tensor; the files are "
             "of two models");
    }
    require_shape(*view, shape);
    taken_.insert(name);
    parts.push_back(*view);
  }
  if (parts.empty()) {
    throw Error(ErrorKind::kInput,
                selfalign::str(where_, ": there is no tensor '", name, "'; ",
                               why_missing(name)));
  }
  if (mode_ == Mode::kDigest || mode_ == Mode::kHold) {
    hasher_.add(name);
    for (const formats::TensorView& part : parts) hasher_.add(part.bytes);
  }
  return parts;
}

at::Tensor WeightReader::values(const Views& parts,
                                const std::vector<int64_t>& shape) const {
  at::Tensor out = at::empty(shape, dtype_);
  int64_t at = 0;
  for (const formats::TensorView& part : parts) {
    const int64_t count = part.num_elements();
    decode(part, out.view({-1}).narrow(0, at, count));
    at += count;
  }
  return out.to(device_);
}

void WeightReader::refuse(const std::string& name,
                          const std::string& why) const {
  throw Error(ErrorKind::kInput,
              selfalign::str(where_, ": tensor '", name, "': ", why));
}

void WeightReader::require_shape(const formats::TensorView& view,
                                 const std::vector<int64_t>& shape) const {
  if (view.shape == shape) return;
  throw Error(
      ErrorKind::kInput,
      selfalign::str(where_, ": tensor '", view.name, "': expected shape ",
                     c10::IntArrayRef(shape), ", found ",
                     c10::IntArrayRef(view.shape),
                     "; configuration and weights do not belong together"));
}

WeightReader::Views WeightReader::fused_parts(
    const std::string& name, const std::vector<int64_t>& shape) {
  for (const formats::LinearModule& module : fused_) {
    for (const formats::ModuleRows& part : module.parts) {
      const std::string own = selfalign::str(
          '.', formats::kProjectionNames[size_t(part.projection)], '.');
      const size_t at = name.find(own);
      if (at == std::string::npos) continue;
      const size_t leaf = module.name.find('.');
      std::string fused = name;
      fused.replace(at, own.size(), module.name.substr(leaf) + '.');
      const formats::TensorView* view = source_.find(fused);
      if (view == nullptr) continue;
      std::vector<int64_t> whole = shape;
      whole[0] = module.out;
      require_shape(*view, whole);
      taken_.insert(fused);
      return cut_rows(*view, name, module.out, part);
    }
  }
  return {};
}

WeightReader::Views WeightReader::cut_rows(
    const formats::TensorView& view, const std::string& name, int64_t num_rows,
    const formats::ModuleRows& part) const {
  std::vector<formats::TensorView> parts;
  const size_t row_bytes = view.bytes.size() / size_t(num_rows);
  for (int64_t row = 0; row < part.rows; row += part.block) {
    const int64_t from = part.first + row / part.block * part.stride;
    formats::TensorView cut = view;
    cut.shape[0] = part.block;
    cut.bytes = view.bytes.substr(size_t(from) * row_bytes,
                                  size_t(part.block) * row_bytes);
    if (formats::storage_bytes(cut.type, cut.shape) != cut.bytes.size()) {
      refuse(view.name, selfalign::str("its blocks of type ",
                                       formats::element_type_name(cut.type),
                                       " cannot be cut into ", name,
                                       "; store it as F32 or F16"));
    }
    parts.push_back(std::move(cut));
  }
  return parts;
}

namespace {

Norm read_norm(WeightReader& reader, const ModelConfig& c,
               const std::string& name) {
  return {reader.read(name + ".weight", {c.hidden_size}),
          reader.read_if(c.norm_bias, name + ".bias", {c.hidden_size})};
}

// The norms behind the first, by names that the block's form decides.
void read_later_norms(WeightReader& reader, const ModelConfig& c,
                      const std::string& p, LayerWeights& w) {
  using Form = formats::BlockForm;
  const bool is_sandwich = c.block == Form::kSandwich;
  if (is_sandwich || c.block == Form::kPost) {
    w.attention_norm = read_norm(reader, c, p + "post_attention_layernorm");
    if (is_sandwich) {
      w.mlp_norm = read_norm(reader, c, p + "pre_feedforward_layernorm");
    }
    w.mlp_out_norm = read_norm(reader, c, p + "post_feedforward_layernorm");
  } else if (c.block != Form::kParallelOneNorm) {
    w.mlp_norm = read_norm(reader, c, p + "post_attention_layernorm");
  }
}

Norm read_qk_norm(WeightReader& reader, const ModelConfig& c,
                  const std::string& name, int64_t heads) {
  switch (c.qk_norm) {
    case formats::QkNorm::kNone:
      return {};
    case formats::QkNorm::kHead:
      return {reader.read(name + "_norm.weight", {c.head_dim}), {}};
    case formats::QkNorm::kAllHeads:
      return {reader.read(name + "_norm.weight", {heads * c.head_dim}), {}};
    case formats::QkNorm::kEachHead: {
      if (reader.has(name + "_norm.weight")) {  // GGUF: all heads in one
        const at::Tensor all =
            reader.read(name + "_norm.weight", {heads, c.head_dim});
        return {all.defined() ? all.reshape(-1) : all, {}};
      }
      std::vector<at::Tensor> parts;
      for (int64_t h = 0; h < heads; ++h) {
        parts.push_back(
            reader.read(selfalign::str(name, "_layernorm.norms.", h, ".weight"),
                        {c.head_dim}));
      }
      return {parts[0].defined() ? at::cat(parts) : at::Tensor(), {}};
    }
  }
  return {};
}

// The order is that of the digest.
LayerWeights read_layer(WeightReader& reader, const ModelConfig& c, int64_t i) {
  const std::string p = selfalign::str("model.layers.", i, ".");
  const std::string a = p + "self_attn.", m = p + "mlp.";
  const int64_t q_rows = c.num_heads * c.head_dim;
  const int64_t kv_rows = c.num_kv_heads * c.head_dim;
  LayerWeights w;
  if (c.block != formats::BlockForm::kPost) {
    w.input_norm = read_norm(reader, c, p + "input_layernorm");
  }
  w.q = read_projection(reader, c, i, Projection::kQ);
  w.k = read_projection(reader, c, i, Projection::kK);
  w.v = read_projection(reader, c, i, Projection::kV);
  w.o = read_projection(reader, c, i, Projection::kO);
  if (c.qkv_bias) {
    w.q_bias = reader.rotary(a + "q_proj.bias", c.num_heads, {q_rows});
    w.k_bias = reader.rotary(a + "k_proj.bias", c.num_kv_heads, {kv_rows});
    w.v_bias = reader.read(a + "v_proj.bias", {kv_rows});
  }
  w.o_bias = reader.read_if(c.o_bias, a + "o_proj.bias", {c.hidden_size});
  w.q_norm = read_qk_norm(reader, c, a + "q", c.num_heads);
  w.k_norm = read_qk_norm(reader, c, a + "k", c.num_kv_heads);
  read_later_norms(reader, c, p, w);
  w.gate = read_projection(reader, c, i, Projection::kGate);
  w.up = read_projection(reader, c, i, Projection::kUp);
  w.down = read_projection(reader, c, i, Projection::kDown);
  w.gate_bias = reader.read_if(c.mlp_bias && c.gated, m + "gate_proj.bias",
                               {c.intermediate_size});
  w.up_bias =
      reader.read_if(c.mlp_bias, m + "up_proj.bias", {c.intermediate_size});
  w.down_bias =
      reader.read_if(c.mlp_bias, m + "down_proj.bias", {c.hidden_size});
  return w;
}

}  // namespace

at::Tensor read_projection(WeightReader& reader, const ModelConfig& c,
                           int64_t layer, Projection which) {
  const bool is_mlp = which >= Projection::kGate;
  const std::string name =
      selfalign::str("model.layers.", layer, is_mlp ? ".mlp." : ".self_attn.",
                     formats::kProjectionNames[size_t(which)], ".weight");
  const int64_t q_rows = c.num_heads * c.head_dim;
  const int64_t kv_rows = c.num_kv_heads * c.head_dim;
  const int64_t hidden = c.hidden_size, wide = c.intermediate_size;
  switch (which) {
    case Projection::kQ:
      return reader.rotary(name, c.num_heads, {q_rows, hidden});
    case Projection::kK:
      return reader.rotary(name, c.num_kv_heads, {kv_rows, hidden});
    case Projection::kV:
      return reader.matrix(name, {kv_rows, hidden});
    case Projection::kO:
      return reader.matrix(name, {hidden, q_rows});
    case Projection::kGate:
      return c.gated ? reader.matrix(name, {wide, hidden}) : at::Tensor();
    case Projection::kUp:
      return reader.matrix(name, {wide, hidden});
    case Projection::kDown:
      return reader.matrix(name, {hidden, wide});
  }
  return {};
}

at::Tensor read_embedding(WeightReader& reader, const ModelConfig& c) {
  return reader.matrix(kEmbedding, {c.vocab_size, c.hidden_size});
}

at::Tensor read_head(WeightReader& reader, const ModelConfig& c) {
  return reader.matrix(kHead, {c.vocab_size, c.hidden_size});
}

void read_weights(WeightReader& reader, Weights& weights) {
  const ModelConfig& c = weights.config;
  weights.embedding = read_embedding(reader, c);
  for (int64_t i = 0; i < c.num_layers; ++i) {
    weights.layers.push_back(read_layer(reader, c, i));
  }
  weights.final_norm = read_norm(reader, c, "model.norm");
  weights.head = c.tied_embeddings ? weights.embedding : read_head(reader, c);
}

}  // namespace selfalign::model
