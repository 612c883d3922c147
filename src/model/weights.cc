// Reading weights: names and shapes are checked against the configuration
// before a byte is decoded.
#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "formats/gguf.h"
#include "formats/tensor_source.h"
#include "model/llama.h"

namespace selfalign::model {
namespace {

using formats::ModelConfig;

// Bytes that the system can still hand out; 0 where it does not say.
uint64_t available_bytes() {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  for (uint64_t kib = 0; in >> name >> kib >> unit;) {
    if (name == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

uint64_t num_parameters(const ModelConfig& c) {
  const uint64_t attention =
      uint64_t(c.hidden_size) * c.head_dim * 2 * (c.num_heads + c.num_kv_heads);
  const uint64_t mlp = 3 * uint64_t(c.hidden_size) * c.intermediate_size;
  const uint64_t vocab = uint64_t(c.vocab_size) * c.hidden_size;
  return (attention + mlp) * c.num_layers + vocab * (c.tied_embeddings ? 1 : 2);
}

class Reader {
 public:
  Reader(const formats::TensorSource& source, std::string where,
         at::Device device, at::ScalarType dtype)
      : source_(source),
        where_(std::move(where)),
        device_(device),
        dtype_(dtype) {}

  bool has(const std::string& name) const {
    return source_.find(name) != nullptr;
  }

  at::Tensor read(const std::string& name, const std::vector<int64_t>& shape) {
    return decode(name, shape).to(device_, dtype_);
  }

  // Rows of q and k: back from ggml's interleaved order to half-split.
  at::Tensor read_rotary(const std::string& name, int64_t heads,
                         int64_t head_dim, int64_t columns) {
    at::Tensor t = decode(name, {heads * head_dim, columns});
    if (source_.interleaved_rope_rows()) {
      t = t.view({heads, head_dim / 2, 2, columns})
              .transpose(1, 2)
              .reshape({heads * head_dim, columns});
    }
    return t.to(device_, dtype_);
  }

  at::Tensor read_bias(const std::string& name, int64_t size, bool wanted) {
    return wanted ? read(name, {size}) : at::Tensor();
  }

  std::string digest() const { return hasher_.digest(); }
  Hasher& hasher() { return hasher_; }

 private:
  at::Tensor decode(const std::string& name,
                    const std::vector<int64_t>& shape) {
    const formats::TensorView* view = source_.find(name);
    if (view == nullptr) {
      throw Error(
          ErrorKind::kInput,
          selfalign::str(where_, ": expected a tensor '", name,
                         "', found none; the file is not a whole LLaMA model"));
    }
    if (view->shape != shape) {
      throw Error(
          ErrorKind::kInput,
          selfalign::str(where_, ": tensor '", name, "': expected shape ",
                         c10::IntArrayRef(shape), ", found ",
                         c10::IntArrayRef(view->shape),
                         "; configuration and weights do not belong together"));
    }
    hasher_.add(name).add(view->bytes);
    at::Tensor out = at::empty(shape, at::kFloat);
    formats::to_float(*view, out.data_ptr<float>());
    return out;
  }

  const formats::TensorSource& source_;
  std::string where_;
  at::Device device_;
  at::ScalarType dtype_;
  Hasher hasher_;
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

void check_memory(const ModelConfig& config, at::Device device,
                  at::ScalarType dtype, const std::string& path) {
  if (device.is_cuda()) return;
  const uint64_t bytes = num_parameters(config) * at::elementSize(dtype);
  const uint64_t available = available_bytes();
  if (available == 0 || bytes < available) return;
  throw Error(
      ErrorKind::kResources,
      selfalign::str(path, ": expected ", bytes >> 20,
                     " MiB of free memory for the weights, found ",
                     available >> 20,
                     "; use --dtype bfloat16, a smaller model or more memory"));
}

}  // namespace

Weights load_weights(const std::string& path, at::Device device,
                     at::ScalarType dtype) {
  Weights weights;
  std::unique_ptr<formats::TensorSource> source;
  if (path.ends_with(".gguf")) {
    auto file = formats::GgufFile::open(path);
    weights.config = formats::config_from_gguf(*file);
    source = formats::open_gguf_tensors(file);
  } else {
    const std::string config_path = path + "/config.json";
    weights.config = formats::config_from_json(
        parse_json(read_file(config_path, 1 << 20), config_path), config_path);
    source = formats::open_safetensors(path);
  }
  const ModelConfig& c = weights.config;
  check_memory(c, device, dtype, path);

  Reader reader(*source, path, device, dtype);
  reader.hasher()
      .add(uint64_t(c.num_layers))
      .add(uint64_t(c.num_heads))
      .add(uint64_t(c.num_kv_heads))
      .add(selfalign::str(c.rope_theta, ' ', c.rope_type))
      .add(selfalign::str(c.rope_factor, ' ', c.rms_norm_eps));
  weights.embedding =
      reader.read("model.embed_tokens.weight", {c.vocab_size, c.hidden_size});
  for (int64_t i = 0; i < c.num_layers; ++i) {
    weights.layers.push_back(read_layer(reader, c, i));
  }
  weights.final_norm = reader.read("model.norm.weight", {c.hidden_size});
  weights.head = c.tied_embeddings ? weights.embedding
                                   : reader.read("lm_head.weight",
                                                 {c.vocab_size, c.hidden_size});
  weights.digest = reader.digest();
  return weights;
}

}  // namespace selfalign::model
