// SPDX-License-Identifier: Apache-2.0
// Reading weights: names and shapes are checked against the configuration
// before a byte is decoded.
#include <ATen/ops/equal.h>

#include <cstring>
#include <set>

#include "base/error.h"
#include "base/free_memory.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/number.h"
#include "formats/gguf.h"
#include "formats/hf_names.h"
#include "formats/model_path.h"
#include "formats/tensor_source.h"
#include "model/transformer.h"

namespace selfalign::model {
namespace {

using formats::ModelConfig;

constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kHead[] = "lm_head.weight";

uint64_t num_parameters(const ModelConfig& c) {
  const uint64_t attention =
      uint64_t(c.hidden_size) * c.head_dim * 2 * (c.num_heads + c.num_kv_heads);
  const uint64_t mlp =
      (c.gated ? 3 : 2) * uint64_t(c.hidden_size) * c.intermediate_size;
  const uint64_t vocab = uint64_t(c.vocab_size) * c.hidden_size;
  return (attention + mlp) * c.num_layers + vocab * (c.tied_embeddings ? 1 : 2);
}

// Takes the tensors of a model one by one. With `decodes` false it only looks
// whether each is there in its shape, and gives undefined tensors.
class Reader {
 public:
  Reader(const formats::TensorSource& source, const ModelConfig& config,
         std::string where, bool decodes, at::Device device = at::kCPU,
         at::ScalarType dtype = at::kFloat)
      : source_(source),
        config_(config),
        fused_(formats::fused_modules(config)),
        where_(std::move(where)),
        decodes_(decodes),
        device_(device),
        dtype_(dtype) {}

  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape) {
    return placed(decode(name, shape));
  }
  at::Tensor read_if(bool wanted, const std::string& name,
                     const std::vector<int64_t>& shape) {
    return wanted ? read(name, shape) : at::Tensor();
  }

  // Rows of q and k: back from ggml's interleaved order to half-split.
  at::Tensor read_rotary(const std::string& name, int64_t heads,
                         int64_t head_dim, const std::vector<int64_t>& shape) {
    at::Tensor t = decode(name, shape);
    if (t.defined() && source_.interleaved_rope_rows()) {
      t = t.view({heads, head_dim / 2, 2, -1}).transpose(1, 2).reshape(shape);
    }
    return placed(t);
  }

  bool has(const std::string& name) const {
    return source_.find(name) != nullptr;
  }

  std::string digest() const { return hasher_.digest(); }
  Hasher& hasher() { return hasher_; }
  const std::set<std::string>& taken() const { return taken_; }

 private:
  at::Tensor placed(const at::Tensor& tensor) const {
    return tensor.defined() ? tensor.to(device_, dtype_) : tensor;
  }

  at::Tensor decode(const std::string& name,
                    const std::vector<int64_t>& shape) {
    // Rows, one part after the other.
    std::vector<formats::TensorView> parts = fused_parts(name, shape);
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
    if (!decodes_) return {};
    hasher_.add(name);
    at::Tensor out = at::empty(shape, at::kFloat);
    auto* to = out.data_ptr<float>();
    for (const formats::TensorView& part : parts) {
      hasher_.add(part.bytes);
      formats::to_float(part, to);
      to += part.num_elements();
    }
    return out;
  }

  [[noreturn]] void refuse(const std::string& name,
                           const std::string& why) const {
    throw Error(ErrorKind::kInput,
                selfalign::str(where_, ": tensor '", name, "': ", why));
  }

  void require_shape(const formats::TensorView& view,
                     const std::vector<int64_t>& shape) const {
    if (view.shape == shape) return;
    throw Error(
        ErrorKind::kInput,
        selfalign::str(where_, ": tensor '", view.name, "': expected shape ",
                       c10::IntArrayRef(shape), ", found ",
                       c10::IntArrayRef(view.shape),
                       "; configuration and weights do not belong together"));
  }

  // Where a projection stands in one that several are fused to: its rows, from
  // the file's; none if there is no such tensor.
  std::vector<formats::TensorView> fused_parts(
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

  std::vector<formats::TensorView> cut_rows(const formats::TensorView& view,
                                            const std::string& name,
                                            int64_t num_rows,
                                            const formats::ModuleRows& part) {
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

  static const char* why_missing(const std::string& name) {
    return name == kHead ? "if the model's output is its embedding, "
                           "config.json must say tie_word_embeddings: true"
                         : "the files are not the whole model that its "
                           "configuration describes";
  }

  const formats::TensorSource& source_;
  const ModelConfig& config_;
  const std::vector<formats::LinearModule> fused_;
  std::string where_;
  bool decodes_;
  at::Device device_;
  at::ScalarType dtype_;
  Hasher hasher_;
  std::set<std::string> taken_;
};

Norm read_norm(Reader& reader, const ModelConfig& c, const std::string& name) {
  return {reader.read(name + ".weight", {c.hidden_size}),
          reader.read_if(c.norm_bias, name + ".bias", {c.hidden_size})};
}

// The norms behind the first, by names that the block's form decides.
void read_later_norms(Reader& reader, const ModelConfig& c,
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

Norm read_qk_norm(Reader& reader, const ModelConfig& c, const std::string& name,
                  int64_t heads) {
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
LayerWeights read_layer(Reader& reader, const ModelConfig& c, int64_t i) {
  const std::string p = selfalign::str("model.layers.", i, ".");
  const std::string a = p + "self_attn.", m = p + "mlp.";
  const int64_t q_rows = c.num_heads * c.head_dim;
  const int64_t kv_rows = c.num_kv_heads * c.head_dim;
  LayerWeights w;
  if (c.block != formats::BlockForm::kPost) {
    w.input_norm = read_norm(reader, c, p + "input_layernorm");
  }
  const auto rotary = [&](const std::string& name, int64_t heads,
                          const std::vector<int64_t>& shape) {
    return reader.read_rotary(name, heads, c.head_dim, shape);
  };
  w.q = rotary(a + "q_proj.weight", c.num_heads, {q_rows, c.hidden_size});
  w.k = rotary(a + "k_proj.weight", c.num_kv_heads, {kv_rows, c.hidden_size});
  w.v = reader.read(a + "v_proj.weight", {kv_rows, c.hidden_size});
  w.o = reader.read(a + "o_proj.weight", {c.hidden_size, q_rows});
  if (c.qkv_bias) {
    w.q_bias = rotary(a + "q_proj.bias", c.num_heads, {q_rows});
    w.k_bias = rotary(a + "k_proj.bias", c.num_kv_heads, {kv_rows});
    w.v_bias = reader.read(a + "v_proj.bias", {kv_rows});
  }
  w.o_bias = reader.read_if(c.o_bias, a + "o_proj.bias", {c.hidden_size});
  w.q_norm = read_qk_norm(reader, c, a + "q", c.num_heads);
  w.k_norm = read_qk_norm(reader, c, a + "k", c.num_kv_heads);
  read_later_norms(reader, c, p, w);
  const std::vector<int64_t> wide = {c.intermediate_size, c.hidden_size};
  w.gate = reader.read_if(c.gated, m + "gate_proj.weight", wide);
  w.up = reader.read(m + "up_proj.weight", wide);
  w.down =
      reader.read(m + "down_proj.weight", {c.hidden_size, c.intermediate_size});
  w.gate_bias = reader.read_if(c.mlp_bias && c.gated, m + "gate_proj.bias",
                               {c.intermediate_size});
  w.up_bias =
      reader.read_if(c.mlp_bias, m + "up_proj.bias", {c.intermediate_size});
  w.down_bias =
      reader.read_if(c.mlp_bias, m + "down_proj.bias", {c.hidden_size});
  return w;
}

// Everything that is in the model, in the order of its digest.
void read_all(Reader& reader, Weights& weights) {
  const ModelConfig& c = weights.config;
  const std::vector<int64_t> words = {c.vocab_size, c.hidden_size};
  weights.embedding = reader.read(kEmbedding, words);
  for (int64_t i = 0; i < c.num_layers; ++i) {
    weights.layers.push_back(read_layer(reader, c, i));
  }
  weights.final_norm = read_norm(reader, c, "model.norm");
  weights.head =
      c.tied_embeddings ? weights.embedding : reader.read(kHead, words);
}

bool same_values(const formats::TensorView& a, const formats::TensorView& b) {
  if (a.shape != b.shape) return false;
  if (a.type == b.type) return a.bytes == b.bytes;
  const auto floats = [](const formats::TensorView& view) {
    at::Tensor out = at::empty(view.shape, at::kFloat);
    formats::to_float(view, out.data_ptr<float>());
    return out;
  };
  return at::equal(floats(a), floats(b));
}

// The tables of old conversions, which follow from the configuration and are
// computed from it by every reader: rotary frequencies and causal masks.
bool is_table(const formats::TensorView& tensor) {
  const std::string& name = tensor.name;
  return tensor.type == formats::ElementType::kBool ||
         name.ends_with("rotary_emb.inv_freq") ||
         name.ends_with(".attention.bias") ||
         name.ends_with(".attention.masked_bias");
}

// What stands in the file and would play no part.
void refuse_unused(const formats::TensorSource& source,
                   const std::set<std::string>& taken, bool tied,
                   const std::string& where) {
  for (const formats::TensorView& tensor : source.tensors()) {
    if (taken.contains(tensor.name) || is_table(tensor)) continue;
    if (tied && tensor.name == kHead) {
      if (same_values(tensor, *source.find(kEmbedding))) continue;
      throw Error(
          ErrorKind::kInput,
          selfalign::str(where, ": tensor '", kHead,
                         "': expected none or the embedding's values, for "
                         "config.json says tie_word_embeddings: true, found "
                         "others; set it to false if the model has an output "
                         "of its own"));
    }
    throw Error(
        ErrorKind::kInput,
        selfalign::str(
            where, ": tensor '", tensor.name,
            "': a model of this configuration has no place for it; correct the "
            "configuration, or this kind of model is not supported"));
  }
}

void check_memory(const ModelConfig& config, at::Device device,
                  at::ScalarType dtype, const std::string& path) {
  if (!device.is_cpu()) return;
  const uint64_t bytes = num_parameters(config) * at::elementSize(dtype);
  const auto available = free_memory();
  if (!available || bytes < *available) return;
  throw Error(
      ErrorKind::kResources,
      selfalign::str(path, ": expected ", bytes >> 20,
                     " MiB of free memory for the weights, found ",
                     *available >> 20,
                     "; use --dtype bfloat16, a smaller model or more memory"));
}

// Whether `text`, of six digits, tells the number from others.
bool is_told_by(const std::string& text, double number) {
  return parse_number<double>(text) == number ||
         parse_number<float>(text) == number;
}

void add_exactly(double number, Hasher& hasher) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  hasher.add(bytes);
}

// What a rope has beside theta, type and factor.
void add_rope(const formats::RopeConfig& rope, Hasher& hasher) {
  const auto& [theta, type, factor, low_freq_factor, high_freq_factor,
               original_positions, attention_factor, beta_fast, beta_slow,
               truncate, factors, long_factors] = rope;
  if (type == "none" || type == "linear") return;
  if (type == "llama3") {
    add_exactly(low_freq_factor, hasher);
    add_exactly(high_freq_factor, hasher);
    hasher.add(uint64_t(original_positions));
    return;
  }
  hasher.add(uint64_t(original_positions)).add(uint64_t(truncate));
  for (const double number : {attention_factor, beta_fast, beta_slow}) {
    add_exactly(number, hasher);
  }
  for (const double number : factors) add_exactly(number, hasher);
  for (const double number : long_factors) add_exactly(number, hasher);
}

// All of the configuration that the names and sizes of the tensors do not tell.
// Each member is named here, so that a new one does not compile until it has
// its place. What is added only in some models leaves the digests of the
// others, by which runs know their model, as they were.
void add_config(const ModelConfig& config, Hasher& hasher) {
  const auto& [family, num_layers, hidden_size, num_heads, num_kv_heads,
               head_dim, intermediate_size, vocab_size, max_positions, norm_eps,
               tied_embeddings, norm, norm_bias, block, qk_norm, qkv_bias,
               o_bias, mlp_bias, activation, gated, rotary_dim, rope,
               local_rope, windows, without_rope, embedding_scale,
               attention_scale, residual_scale, logit_scale, attention_softcap,
               logit_softcap, notes] = config;
  hasher.add(uint64_t(num_layers))
      .add(uint64_t(num_heads))
      .add(uint64_t(num_kv_heads))
      .add(selfalign::str(rope.theta, ' ', rope.type))
      .add(selfalign::str(rope.factor, ' ', norm_eps));
  for (const double number : {rope.theta, rope.factor, norm_eps}) {
    if (!is_told_by(selfalign::str(number), number)) {
      add_exactly(number, hasher);
    }
  }
  add_rope(rope, hasher);
  const formats::ModelConfig plain;
  if (family != plain.family || activation != plain.activation) {
    hasher.add(family).add(selfalign::str(int(norm), ' ', int(block), ' ',
                                          int(qk_norm), ' ', int(activation),
                                          ' ', rotary_dim));
    for (const double number :
         {embedding_scale, attention_scale, residual_scale, logit_scale,
          attention_softcap, logit_softcap, local_rope.theta}) {
      add_exactly(number, hasher);
    }
    hasher.add(local_rope.type);
    add_exactly(local_rope.factor, hasher);
    add_rope(local_rope, hasher);
    for (const int64_t window : windows) hasher.add(uint64_t(window));
    for (const bool without : without_rope) hasher.add(uint64_t(without));
  }
  // Told by the tensors: shapes, and names that are there or not. Positions
  // decide what fits and no value; an engine's fingerprint has its context.
  static_cast<void>(std::tie(
      hidden_size, head_dim, intermediate_size, vocab_size, max_positions,
      tied_embeddings, norm_bias, qkv_bias, o_bias, mlp_bias, gated, notes));
}

struct ModelFiles {
  ModelConfig config;
  std::unique_ptr<formats::TensorSource> tensors;
};

ModelFiles open_files(const std::string& path) {
  if (formats::model_form(path) == formats::ModelForm::kGguf) {
    const auto file = formats::GgufFile::open(path);
    return {formats::config_from_gguf(*file), formats::open_gguf_tensors(file)};
  }
  const std::string config_path = path + "/config.json";
  const Json json = parse_json(read_file(config_path, 1 << 20), config_path);
  ModelConfig config = formats::config_from_json(json, config_path);
  return {config, formats::open_hf_tensors(path, config.family)};
}

// Opens the files and goes through all tensors before a byte is decoded.
ModelFiles open_checked(const std::string& path, at::Device device,
                        at::ScalarType dtype) {
  ModelFiles files = open_files(path);
  check_memory(files.config, device, dtype, path);
  Reader reader(*files.tensors, files.config, path, false);
  Weights nothing;
  nothing.config = files.config;
  read_all(reader, nothing);
  refuse_unused(*files.tensors, reader.taken(), files.config.tied_embeddings,
                path);
  return files;
}

}  // namespace

ModelConfig check_weights(const std::string& path, at::Device device,
                          at::ScalarType dtype) {
  return open_checked(path, device, dtype).config;
}

Weights load_weights(const std::string& path, at::Device device,
                     at::ScalarType dtype) {
  const ModelFiles files = open_checked(path, device, dtype);
  Weights weights;
  weights.config = files.config;
  for (const std::string& note : weights.config.notes) log_info(note);
  Reader reader(*files.tensors, weights.config, path, true, device, dtype);
  add_config(weights.config, reader.hasher());
  read_all(reader, weights);
  files.tensors->require_unchanged();
  weights.digest = reader.digest();
  return weights;
}

}  // namespace selfalign::model
