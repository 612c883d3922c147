// SPDX-License-Identifier: Apache-2.0
// Reading weights: names and shapes are checked against the configuration
// before a byte is decoded.
#include <ATen/ops/equal.h>

#include <cstring>
#include <set>

#include "base/error.h"
#include "base/free_memory.h"
#include "base/hash.h"
#include "base/number.h"
#include "formats/gguf.h"
#include "formats/model_path.h"
#include "formats/tensor_source.h"
#include "model/llama.h"

namespace selfalign::model {
namespace {

using formats::ModelConfig;

constexpr char kEmbedding[] = "model.embed_tokens.weight";
constexpr char kHead[] = "lm_head.weight";

uint64_t num_parameters(const ModelConfig& c) {
  const uint64_t attention =
      uint64_t(c.hidden_size) * c.head_dim * 2 * (c.num_heads + c.num_kv_heads);
  const uint64_t mlp = 3 * uint64_t(c.hidden_size) * c.intermediate_size;
  const uint64_t vocab = uint64_t(c.vocab_size) * c.hidden_size;
  return (attention + mlp) * c.num_layers + vocab * (c.tied_embeddings ? 1 : 2);
}

// Takes the tensors of a model one by one. With `decodes` false it only looks
// whether each is there in its shape, and gives undefined tensors.
class Reader {
 public:
  Reader(const formats::TensorSource& source, std::string where, bool decodes,
         at::Device device = at::kCPU, at::ScalarType dtype = at::kFloat)
      : source_(source),
        where_(std::move(where)),
        decodes_(decodes),
        device_(device),
        dtype_(dtype) {}

  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape) {
    return placed(decode(name, shape));
  }

  // Rows of q and k: back from ggml's interleaved order to half-split.
  at::Tensor read_rotary(const std::string& name, int64_t heads,
                         int64_t head_dim, int64_t columns) {
    at::Tensor t = decode(name, {heads * head_dim, columns});
    if (t.defined() && source_.interleaved_rope_rows()) {
      t = t.view({heads, head_dim / 2, 2, columns})
              .transpose(1, 2)
              .reshape({heads * head_dim, columns});
    }
    return placed(t);
  }

  at::Tensor read_bias(const std::string& name, int64_t size, bool wanted) {
    return wanted ? read(name, {size}) : at::Tensor();
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
    const formats::TensorView* view = source_.find(name);
    if (view == nullptr) {
      throw Error(ErrorKind::kInput,
                  selfalign::str(where_, ": there is no tensor '", name, "'; ",
                                 why_missing(name)));
    }
    if (view->shape != shape) {
      throw Error(
          ErrorKind::kInput,
          selfalign::str(where_, ": tensor '", name, "': expected shape ",
                         c10::IntArrayRef(shape), ", found ",
                         c10::IntArrayRef(view->shape),
                         "; configuration and weights do not belong together"));
    }
    taken_.insert(name);
    if (!decodes_) return {};
    hasher_.add(name).add(view->bytes);
    at::Tensor out = at::empty(shape, at::kFloat);
    formats::to_float(*view, out.data_ptr<float>());
    return out;
  }

  static const char* why_missing(const std::string& name) {
    return name == kHead ? "if the model's output is its embedding, "
                           "config.json must say tie_word_embeddings: true"
                         : "the file is not a whole LLaMA model";
  }

  const formats::TensorSource& source_;
  std::string where_;
  bool decodes_;
  at::Device device_;
  at::ScalarType dtype_;
  Hasher hasher_;
  std::set<std::string> taken_;
};

LayerWeights read_layer(Reader& reader, const ModelConfig& c, int64_t i) {
  const std::string p = selfalign::str("model.layers.", i, ".");
  const std::string a = p + "self_attn.";
  const int64_t q_rows = c.num_heads * c.head_dim;
  const int64_t kv_rows = c.num_kv_heads * c.head_dim;
  const bool bias = c.attention_bias;
  LayerWeights w;
  w.input_norm = reader.read(p + "input_layernorm.weight", {c.hidden_size});
  w.q = reader.read_rotary(a + "q_proj.weight", c.num_heads, c.head_dim,
                           c.hidden_size);
  w.k = reader.read_rotary(a + "k_proj.weight", c.num_kv_heads, c.head_dim,
                           c.hidden_size);
  w.v = reader.read(a + "v_proj.weight", {kv_rows, c.hidden_size});
  w.o = reader.read(a + "o_proj.weight", {c.hidden_size, q_rows});
  w.q_bias = reader.read_bias(a + "q_proj.bias", q_rows, bias);
  w.k_bias = reader.read_bias(a + "k_proj.bias", kv_rows, bias);
  w.v_bias = reader.read_bias(a + "v_proj.bias", kv_rows, bias);
  w.o_bias = reader.read_bias(a + "o_proj.bias", c.hidden_size, bias);
  w.post_norm =
      reader.read(p + "post_attention_layernorm.weight", {c.hidden_size});
  w.gate = reader.read(p + "mlp.gate_proj.weight",
                       {c.intermediate_size, c.hidden_size});
  w.up = reader.read(p + "mlp.up_proj.weight",
                     {c.intermediate_size, c.hidden_size});
  w.down = reader.read(p + "mlp.down_proj.weight",
                       {c.hidden_size, c.intermediate_size});
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
  weights.final_norm = reader.read("model.norm.weight", {c.hidden_size});
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
// computed from it by every reader.
bool is_rotary_table(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq");
}

// What stands in the file and would play no part.
void refuse_unused(const formats::TensorSource& source,
                   const std::set<std::string>& taken, bool tied,
                   const std::string& where) {
  for (const formats::TensorView& tensor : source.tensors()) {
    if (taken.contains(tensor.name) || is_rotary_table(tensor.name)) continue;
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
            "': a LLaMA of this configuration has no place for it; correct the "
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

// All of the configuration that the names and sizes of the tensors do not tell.
// Each member is named here, so that a new one does not compile until it has
// its place. What is added only in some models leaves the digests of the
// others, by which runs know their model, as they were.
void add_config(const ModelConfig& config, Hasher& hasher) {
  const auto& [num_layers, hidden_size, num_heads, num_kv_heads, head_dim,
               intermediate_size, vocab_size, max_positions, rms_norm_eps,
               rope_theta, tied_embeddings, attention_bias, rope_type,
               rope_factor, low_freq_factor, high_freq_factor,
               original_positions] = config;
  hasher.add(uint64_t(num_layers))
      .add(uint64_t(num_heads))
      .add(uint64_t(num_kv_heads))
      .add(selfalign::str(rope_theta, ' ', rope_type))
      .add(selfalign::str(rope_factor, ' ', rms_norm_eps));
  const auto add_exactly = [&hasher](double number) {
    std::string bytes(sizeof(number), '\0');
    std::memcpy(bytes.data(), &number, sizeof(number));
    hasher.add(bytes);
  };
  for (const double number : {rope_theta, rope_factor, rms_norm_eps}) {
    if (!is_told_by(selfalign::str(number), number)) add_exactly(number);
  }
  if (rope_type == "llama3") {
    add_exactly(low_freq_factor);
    add_exactly(high_freq_factor);
    hasher.add(uint64_t(original_positions));
  }
  // Told by the tensors: shapes, and names that are there or not. Positions
  // decide what fits and no value; an engine's fingerprint has its context.
  static_cast<void>(std::tie(hidden_size, head_dim, intermediate_size,
                             vocab_size, max_positions, tied_embeddings,
                             attention_bias));
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
  return {formats::config_from_json(json, config_path),
          formats::open_safetensors(path)};
}

// Opens the files and goes through all tensors before a byte is decoded.
ModelFiles open_checked(const std::string& path, at::Device device,
                        at::ScalarType dtype) {
  ModelFiles files = open_files(path);
  check_memory(files.config, device, dtype, path);
  Reader reader(*files.tensors, path, false);
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
  Reader reader(*files.tensors, path, true, device, dtype);
  add_config(weights.config, reader.hasher());
  read_all(reader, weights);
  files.tensors->require_unchanged();
  weights.digest = reader.digest();
  return weights;
}

}  // namespace selfalign::model
