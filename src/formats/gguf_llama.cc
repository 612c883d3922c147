// SPDX-License-Identifier: Apache-2.0
// What a GGUF file of architecture "llama" says in its own words, in the words
// of an HF folder: tensor names and the configuration.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/model_config.h"

namespace selfalign::formats {
namespace {

struct Rename {
  const char* gguf;
  const char* hf;
};

constexpr Rename kTopNames[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

// Behind "blk.N." and "model.layers.N.".
constexpr Rename kLayerNames[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.bias", "self_attn.o_proj.bias"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
};

constexpr const char* kRopeTable = "rope_freqs.weight";

// Metadata that changes what a LLaMA computes in a way that this program does
// not know. Absent, zero and false are harmless.
constexpr const char* kRefusedKeys[] = {
    "llama.expert_count",          "llama.expert_used_count",
    "llama.attention.scale",       "llama.attention.sliding_window",
    "llama.attention.clamp_kqv",   "llama.attention.max_alibi_bias",
    "llama.use_parallel_residual", "llama.logit_scale",
    "llama.residual_scale",        "llama.embedding_scale",
};
constexpr const char* kRopeKeys[] = {
    "llama.rope.freq_base",
    "llama.rope.dimension_count",
    "llama.rope.scale_linear",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.rope.scaling.original_context_length",
    "llama.rope.scaling.finetuned",
};

[[noreturn]] void fail(const GgufFile& file, const std::string& text) {
  throw Error(ErrorKind::kInput, file.path() + ": " + text);
}

// "" if the name has no place in a LLaMA.
std::string hf_name(const std::string& name) {
  for (const Rename& rename : kTopNames) {
    if (name == rename.gguf) return rename.hf;
  }
  if (!name.starts_with("blk.")) return "";
  const size_t dot = name.find('.', 4);
  if (dot == std::string::npos || dot == 4 || dot > 10) return "";
  const std::string layer = name.substr(4, dot - 4);
  if (!std::all_of(layer.begin(), layer.end(),
                   [](char c) { return c >= '0' && c <= '9'; }) ||
      (layer.size() > 1 && layer[0] == '0')) {
    return "";
  }
  for (const Rename& rename : kLayerNames) {
    if (name.compare(dot + 1, std::string::npos, rename.gguf) == 0) {
      return "model.layers." + layer + "." + rename.hf;
    }
  }
  return "";
}

void check_architecture(const GgufFile& file) {
  const std::string found = file.get_string("general.architecture");
  if (found == "llama") return;
  fail(file, "expected architecture \"llama\", found \"" + found +
                 "\"; this program runs LLaMA-family models only");
}

void refuse_rope_table(const GgufFile& file) {
  fail(file, str("tensor ", kRopeTable,
                 ": expected rope scaling as numbers in the metadata, found a "
                 "table of factors (LLaMA 3.1 and later); use the model's HF "
                 "folder, whose config.json holds the numbers"));
}

const TensorView* find_tensor(const GgufFile& file, const std::string& name) {
  for (const TensorView& tensor : file.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

class GgufTensors : public TensorSource {
 public:
  explicit GgufTensors(std::shared_ptr<const GgufFile> file)
      : file_(std::move(file)) {
    check_architecture(*file_);
    for (TensorView tensor : file_->tensors()) {
      if (tensor.name == kRopeTable) refuse_rope_table(*file_);
      std::string name = hf_name(tensor.name);
      if (name.empty()) {
        fail(*file_, "tensor " + tensor.name +
                         ": expected the tensors of a LLaMA only; this kind "
                         "of model is not supported");
      }
      tensor.name = std::move(name);
      tensors_.push_back(std::move(tensor));
    }
  }

  const std::vector<TensorView>& tensors() const override { return tensors_; }
  bool interleaved_rope_rows() const override { return true; }
  void require_unchanged() const override { file_->require_unchanged(); }

 private:
  std::shared_ptr<const GgufFile> file_;
  std::vector<TensorView> tensors_;
};

bool is_set(const GgufValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer != 0;
  if (const auto* number = std::get_if<double>(&value)) return *number != 0.0;
  if (const auto* truth = std::get_if<bool>(&value)) return *truth;
  return true;
}

void refuse_unknown_keys(const GgufFile& file) {
  for (const char* key : kRefusedKeys) {
    const GgufValue* value = file.find(key);
    if (value != nullptr && is_set(*value)) {
      fail(file, str("metadata ", key,
                     ": expected a plain LLaMA, found a "
                     "variant that this program does not compute"));
    }
  }
  if (!file.get_bool_or("llama.attention.causal", true)) {
    fail(file, "metadata llama.attention.causal: expected true, found false");
  }
  for (const auto& [key, value] : file.metadata()) {
    if (key.starts_with("llama.rope.") &&
        std::find(std::begin(kRopeKeys), std::end(kRopeKeys), key) ==
            std::end(kRopeKeys)) {
      fail(file, "metadata " + key + ": this kind of rope is not known");
    }
  }
}

void read_rope(const GgufFile& file, ModelConfig& config) {
  if (find_tensor(file, kRopeTable) != nullptr) refuse_rope_table(file);
  config.rope.theta = file.get_float("llama.rope.freq_base");
  const int64_t dimensions =
      file.get_int_or("llama.rope.dimension_count", config.head_dim);
  if (dimensions != config.head_dim) {
    fail(file, str("metadata llama.rope.dimension_count: expected the whole "
                   "head of ",
                   config.head_dim, ", found ", dimensions));
  }
  const char* old_factor = "llama.rope.scale_linear";
  const char* new_factor = "llama.rope.scaling.factor";
  std::string type = file.get_string_or("llama.rope.scaling.type", "");
  double factor = 1.0;
  if (file.find(new_factor) != nullptr) factor = file.get_float(new_factor);
  if (type.empty() && file.find(old_factor) != nullptr) {
    factor = file.get_float(old_factor);
    type = "linear";
  }
  if (type.empty()) type = "none";
  if (type != "none" && type != "linear") {
    fail(file,
         "metadata llama.rope.scaling.type: expected none or linear, "
         "found \"" +
             type + "\"");
  }
  if (type == "none" && factor != 1.0) {
    fail(file, str("metadata ", new_factor, ": found ", factor,
                   " without llama.rope.scaling.type; expected both"));
  }
  config.rope.type = factor == 1.0 ? "none" : type;
  config.rope.factor = factor;
}

void read_vocabulary(const GgufFile& file, ModelConfig& config) {
  const TensorView* embedding = find_tensor(file, "token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    fail(file, "tensor token_embd.weight: expected a matrix, found none");
  }
  config.vocab_size = embedding->shape[0];
  const int64_t stated = file.get_int_or("llama.vocab_size", config.vocab_size);
  if (stated != config.vocab_size) {
    fail(file,
         str("metadata llama.vocab_size: expected the ", config.vocab_size,
             " rows of token_embd.weight, found ", stated));
  }
  const char* tokens = "tokenizer.ggml.tokens";
  const uint64_t count = file.size_of(tokens);
  if (count > static_cast<uint64_t>(config.vocab_size)) {
    fail(file,
         str("metadata ", tokens, ": expected at most the ", config.vocab_size,
             " rows of token_embd.weight, found ", count));
  }
}

void read_heads(const GgufFile& file, ModelConfig& config) {
  config.num_heads = file.get_int("llama.attention.head_count");
  config.num_kv_heads =
      file.get_int_or("llama.attention.head_count_kv", config.num_heads);
  const bool divides =
      config.num_heads > 0 && config.hidden_size % config.num_heads == 0;
  const char* key_length = "llama.attention.key_length";
  if (file.find(key_length) == nullptr && !divides) {
    fail(file, str("metadata llama.attention.head_count: expected a divisor "
                   "of the width ",
                   config.hidden_size, ", found ", config.num_heads));
  }
  config.head_dim = file.get_int_or(
      key_length, divides ? config.hidden_size / config.num_heads : 0);
  const int64_t value_length =
      file.get_int_or("llama.attention.value_length", config.head_dim);
  if (value_length != config.head_dim) {
    fail(file, str("metadata llama.attention.value_length: expected the "
                   "keys' ",
                   config.head_dim, ", found ", value_length));
  }
}

}  // namespace

std::unique_ptr<TensorSource> open_gguf_tensors(
    std::shared_ptr<const GgufFile> file) {
  return std::make_unique<GgufTensors>(std::move(file));
}

ModelConfig config_from_gguf(const GgufFile& file) {
  check_architecture(file);
  refuse_unknown_keys(file);
  ModelConfig config;
  config.num_layers = file.get_int("llama.block_count");
  config.hidden_size = file.get_int("llama.embedding_length");
  config.intermediate_size = file.get_int("llama.feed_forward_length");
  config.max_positions = file.get_int("llama.context_length");
  config.norm_eps = file.get_float("llama.attention.layer_norm_rms_epsilon");
  read_heads(file, config);
  read_rope(file, config);
  read_vocabulary(file, config);
  config.tied_embeddings = find_tensor(file, "output.weight") == nullptr;
  config.rotary_dim = config.head_dim;
  config.qkv_bias = find_tensor(file, "blk.0.attn_q.bias") != nullptr;
  config.o_bias = find_tensor(file, "blk.0.attn_output.bias") != nullptr;
  check_config(config, file.path());
  return config;
}

}  // namespace selfalign::formats
