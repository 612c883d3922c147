// SPDX-License-Identifier: Apache-2.0
// What a GGUF file says of a model in its own words, in the words of an HF
// folder: tensor names and the configuration, a row for each architecture.
// Keys, names and what the conversion did to the values are llama.cpp's.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/joined.h"
#include "base/shown.h"
#include "formats/family.h"
#include "formats/gguf.h"
#include "formats/gguf_names.h"
#include "formats/model_config.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const GgufFile& file, const std::string& text) {
  throw Error(ErrorKind::kInput, file.path() + ": " + on_one_line(text));
}

// Tables that become a part of the configuration.
constexpr char kFactors[] = "rope_freqs.weight";
constexpr char kLongTable[] = "rope_factors_long.weight";
constexpr char kShortTable[] = "rope_factors_short.weight";

const TensorView* find_tensor(const GgufFile& file, const std::string& name) {
  for (const TensorView& tensor : file.tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

// The metadata "ARCHITECTURE.key".
class Keys {
 public:
  Keys(const GgufFile& file, const std::string& architecture)
      : file_(file), prefix_(architecture + ".") {}

  const GgufFile& file() const { return file_; }
  const std::string& prefix() const { return prefix_; }
  std::string whole(const char* key) const { return prefix_ + key; }
  bool has(const char* key) const { return file_.find(whole(key)) != nullptr; }
  int64_t integer(const char* key) const { return file_.get_int(whole(key)); }
  int64_t integer_or(const char* key, int64_t other) const {
    return file_.get_int_or(whole(key), other);
  }
  double number(const char* key) const { return file_.get_float(whole(key)); }
  double number_or(const char* key, double other) const {
    return has(key) ? number(key) : other;
  }
  bool flag_or(const char* key, bool other) const {
    return file_.get_bool_or(whole(key), other);
  }
  std::string text_or(const char* key, const std::string& other) const {
    return file_.get_string_or(whole(key), other);
  }
  bool has_tensor(const std::string& name) const {
    return find_tensor(file_, name) != nullptr;
  }

 private:
  const GgufFile& file_;
  const std::string prefix_;
};

// ---- Architectures ----

struct Architecture {
  const char* name;
  const char* family;  // of ModelConfig
  // The conversion laid the rows of q and k in the order of ggml's plain rope.
  bool interleaves = false;
  GgufNaming naming = GgufNaming::kPlain;
  // Keys that the architecture has beside those of all.
  std::vector<const char*> more;
  // Of Gemma's largest, which scales scores by another size: no file says so.
  int64_t num_layers_of_27b = 0;
  int64_t full_every = 0;  // as Family's, where that has no windows

  bool has_key(std::string_view key) const {
    return std::find(more.begin(), more.end(), key) != more.end();
  }
};

void read_biases(const Keys& keys, ModelConfig& config) {
  config.qkv_bias = keys.has_tensor("blk.0.attn_q.bias") ||
                    keys.has_tensor("blk.0.attn_qkv.bias");
  config.o_bias = keys.has_tensor("blk.0.attn_output.bias");
  config.mlp_bias = keys.has_tensor("blk.0.ffn_up.bias");
}

// The pattern is what the file says of each layer, or that each n-th has no
// window, or the architecture's own.
void read_windows(const Keys& keys, const Architecture& architecture,
                  const Family& family, ModelConfig& config) {
  const int64_t window = keys.integer_or("attention.sliding_window", 0);
  if (window == 0) return;
  const char* pattern = "attention.sliding_window_pattern";
  int64_t full_every = architecture.full_every != 0 ? architecture.full_every
                                                    : family.full_every;
  std::vector<bool> has_window;
  if (architecture.has_key(pattern) &&
      keys.file().size_of(keys.whole(pattern)) > 0) {
    has_window = keys.file().get_bools(keys.whole(pattern), 1024);
    if (static_cast<int64_t>(has_window.size()) != config.num_layers) {
      fail(keys.file(),
           str("metadata ", keys.whole(pattern),
               ": expected one for each of the ", config.num_layers,
               " layers, found ", has_window.size()));
    }
  } else if (architecture.has_key(pattern)) {
    full_every = std::max<int64_t>(1, keys.integer_or(pattern, full_every));
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const bool is_windowed = has_window.empty()
                                 ? is_before_nth(i, full_every)
                                 : has_window[static_cast<size_t>(i)];
    config.windows.push_back(is_windowed ? window : 0);
  }
}

void read_gemma_attention(const Architecture& architecture,
                          ModelConfig& config) {
  const int64_t scalar = config.num_layers == architecture.num_layers_of_27b
                             ? config.hidden_size / config.num_heads
                             : config.head_dim;
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(scalar));
}

void read_granite(const Keys& keys, ModelConfig& config) {
  config.embedding_scale = keys.number_or("embedding_scale", 1.0);
  config.attention_scale = keys.number_or("attention.scale", 0.0);
  config.residual_scale = keys.number_or("residual_scale", 1.0);
  const double scaling = keys.number_or("logit_scale", 1.0);
  config.logit_scale = scaling != 0.0 ? 1.0 / scaling : 0.0;
}

void read_layers(const Keys& keys, const Architecture& architecture,
                 const Family& family, ModelConfig& config) {
  const auto has = [&](const char* key) { return architecture.has_key(key); };
  config.norm_eps = keys.number(config.norm == NormKind::kLayer
                                    ? "attention.layer_norm_epsilon"
                                    : "attention.layer_norm_rms_epsilon");
  read_biases(keys, config);
  config.embedding_scale = embedding_scale_of(family, config);
  if (config.qk_norm == QkNorm::kEachHead &&
      !keys.has_tensor("blk.0.attn_q_norm.weight")) {
    config.qk_norm = QkNorm::kNone;
  }
  read_parallel(keys, family, config);
  if (architecture.num_layers_of_27b != 0) {
    read_gemma_attention(architecture, config);
  }
  if (has("attn_logit_softcapping")) {
    config.attention_softcap =
        keys.number_or("attn_logit_softcapping", family.attention_softcap);
    config.logit_softcap =
        keys.number_or("final_logit_softcapping", family.logit_softcap);
  }
  if (has("rope.freq_base_swa") &&
      (family.local_theta != 0.0 || keys.has("attention.sliding_window"))) {
    config.local_rope.theta = keys.number_or(
        "rope.freq_base_swa",
        family.local_theta != 0.0 ? family.local_theta : config.rope.theta);
  }
  if (has("attention.sliding_window")) {
    read_windows(keys, architecture, family, config);
  }
  if (has("attention.scale")) read_granite(keys, config);
  // The file does not say which layers do not rotate.
  for (int64_t i = 0; family.unrotated_every != 0 && i < config.num_layers;
       ++i) {
    config.without_rope.push_back(!is_before_nth(i, family.unrotated_every));
  }
}

std::vector<double> read_table(const GgufFile& file, const char* name) {
  const TensorView* tensor = find_tensor(file, name);
  if (tensor == nullptr) fail(file, str("there is no tensor ", name));
  if (tensor->type != ElementType::kF32 || tensor->shape.size() != 1 ||
      tensor->shape[0] > 1024) {
    fail(file,
         str("tensor ", name,
             ": expected at most 1024 F32 in one "
             "dimension, found ",
             element_type_name(tensor->type), " in ", tensor->shape.size()));
  }
  std::vector<float> values(static_cast<size_t>(tensor->num_elements()));
  to_float(*tensor, values.data());
  return {values.begin(), values.end()};
}

const std::vector<Architecture>& architectures() {
  using List = std::vector<const char*>;
  const List window = {"attention.sliding_window"};
  const List parallel = {"use_parallel_residual"};
  const List gemma2 = {"attention.sliding_window", "attn_logit_softcapping",
                       "final_logit_softcapping"};
  const List gemma3 = {"attention.sliding_window",
                       "attention.sliding_window_pattern",
                       "rope.freq_base_swa"};
  const List phi3 = {"attention.sliding_window", "rope.scaling.attn_factor",
                     "rope.scaling.original_context_length"};
  const List granite = {"attention.scale", "embedding_scale", "residual_scale",
                        "logit_scale"};
  static const std::vector<Architecture> all = {
      {"llama", "llama", true, GgufNaming::kPlain, {}},
      {"qwen2", "qwen2", false, GgufNaming::kPlain, {}},
      {"qwen3", "qwen3", false, GgufNaming::kPlain, {}},
      {"gemma", "gemma", false, GgufNaming::kPlain, {}},
      {"gemma2", "gemma2", false, GgufNaming::kNormsBehind, gemma2, 46},
      {"gemma3", "gemma3_text", false, GgufNaming::kNormsBehind, gemma3, 62},
      {"phi3", "phi3", false, GgufNaming::kFusedGate, phi3},
      {"gptneox", "gpt_neox", false, GgufNaming::kPlain, parallel},
      {"olmo2", "olmo2", false, GgufNaming::kNormsBehind, gemma3, 0, 4},
      {"arcee", "arcee", true, GgufNaming::kPlain, {}},
      {"smollm3", "smollm3", true, GgufNaming::kPlain, {}},
      {"granite", "granite", true, GgufNaming::kPlain, granite},
      {"starcoder2", "starcoder2", false, GgufNaming::kPlain, window},
      {"stablelm", "stablelm", false, GgufNaming::kPlain, parallel},
  };
  return all;
}

const Architecture& architecture_of(const GgufFile& file) {
  const std::string found = file.get_string("general.architecture");
  for (const Architecture& architecture : architectures()) {
    if (found == architecture.name) return architecture;
  }
  fail(file, str("the architecture \"", shown(found),
                 "\" is not supported; this program runs ",
                 joined(architectures(), ", ", &Architecture::name)));
}

// ---- Tensors ----

bool is_table(const std::string& name) {
  return name == kFactors || name == kLongTable || name == kShortTable;
}

class GgufTensors : public TensorSource {
 public:
  explicit GgufTensors(std::shared_ptr<const GgufFile> file)
      : file_(std::move(file)), architecture_(architecture_of(*file_)) {
    for (TensorView tensor : file_->tensors()) {
      if (is_table(tensor.name)) continue;
      std::string name = hf_tensor_name(tensor.name, architecture_.naming);
      if (name.empty()) {
        fail(*file_, str("tensor ", tensor.name, ": a model of architecture ",
                         architecture_.name,
                         " has no place for it; this kind of model is not "
                         "supported"));
      }
      tensor.name = std::move(name);
      tensors_.push_back(std::move(tensor));
    }
    require_names_once(tensors_, file_->path());
  }

  const std::vector<TensorView>& tensors() const override { return tensors_; }
  bool interleaved_rope_rows() const override {
    return architecture_.interleaves;
  }
  void require_unchanged() const override { file_->require_unchanged(); }

 private:
  std::shared_ptr<const GgufFile> file_;
  const Architecture& architecture_;
  std::vector<TensorView> tensors_;
};

// ---- Configuration ----

// Metadata that changes what a model computes in a way that its architecture
// does not know here. Absent, zero and false are harmless.
constexpr const char* kRefusedKeys[] = {
    "expert_count",           "expert_used_count",
    "attention.scale",        "attention.sliding_window",
    "attention.clamp_kqv",    "attention.max_alibi_bias",
    "use_parallel_residual",  "logit_scale",
    "residual_scale",         "embedding_scale",
    "attn_logit_softcapping", "final_logit_softcapping",
};
constexpr const char* kRopeKeys[] = {
    "rope.freq_base",
    "rope.dimension_count",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
};

bool is_set(const GgufValue& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return *integer != 0;
  if (const auto* number = std::get_if<double>(&value)) return *number != 0.0;
  if (const auto* truth = std::get_if<bool>(&value)) return *truth;
  return true;
}

void refuse_unknown_keys(const Keys& keys, const Architecture& architecture) {
  const GgufFile& file = keys.file();
  for (const char* key : kRefusedKeys) {
    const GgufValue* value = file.find(keys.whole(key));
    if (architecture.has_key(key) || value == nullptr || !is_set(*value))
      continue;
    fail(file, str("metadata ", keys.whole(key),
                   ": this program does not "
                   "compute this variant of a ",
                   architecture.name));
  }
  if (!keys.flag_or("attention.causal", true)) {
    fail(file, str("metadata ", keys.whole("attention.causal"),
                   ": expected true, found false"));
  }
  const std::string rope = keys.whole("rope.");
  for (const auto& [key, value] : file.metadata()) {
    if (!key.starts_with(rope)) continue;
    const std::string own = key.substr(keys.prefix().size());
    if (architecture.has_key(own) ||
        std::find(std::begin(kRopeKeys), std::end(kRopeKeys), own) !=
            std::end(kRopeKeys)) {
      continue;
    }
    fail(file, "metadata " + key + ": this kind of rope is not known");
  }
}

// Phi-3's two tables of divisors, with what goes with them.
void read_longrope(const Keys& keys, RopeConfig& rope) {
  rope.type = "longrope";
  rope.factors = read_table(keys.file(), kShortTable);
  rope.long_factors = read_table(keys.file(), kLongTable);
  rope.original_positions =
      keys.integer("rope.scaling.original_context_length");
  rope.attention_factor = keys.number_or("rope.scaling.attn_factor", 1.0);
}

// The scale of attention is what follows from the factor, as llama.cpp has it;
// files that say another are not known.
void read_yarn(const Keys& keys, double factor, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  rope.type = "yarn";
  rope.factor = factor;
  rope.original_positions = keys.integer_or(
      "rope.scaling.original_context_length", config.max_positions);
  rope.beta_fast = keys.number_or("rope.scaling.yarn_beta_fast", 32.0);
  rope.beta_slow = keys.number_or("rope.scaling.yarn_beta_slow", 1.0);
  rope.attention_factor = factor > 1.0 ? 0.1 * std::log(factor) + 1.0 : 1.0;
}

void read_scaling(const Keys& keys, const Architecture& architecture,
                  ModelConfig& config) {
  const GgufFile& file = keys.file();
  std::string type = keys.text_or("rope.scaling.type", "");
  double factor = keys.number_or("rope.scaling.factor", 1.0);
  if (type.empty() && keys.has("rope.scale_linear")) {
    factor = keys.number("rope.scale_linear");
    type = "linear";
  }
  if (type.empty()) type = "none";
  if (type != "none" && type != "linear" && type != "longrope" &&
      type != "yarn") {
    fail(file, str("metadata ", keys.whole("rope.scaling.type"),
                   ": expected none, linear, longrope or yarn, found \"", type,
                   "\"; use the model's HF folder"));
  }
  if (type == "yarn") read_yarn(keys, factor, config);
  if (type == "none" && factor != 1.0) {
    fail(file,
         str("metadata ", keys.whole("rope.scaling.factor"), ": found ", factor,
             " without ", keys.whole("rope.scaling.type"), "; expected both"));
  }
  if (type == "linear" && factor != 1.0) {
    config.rope.type = type;
    config.rope.factor = factor;
  }
  const bool has_tables =
      keys.has_tensor(kLongTable) || keys.has_tensor(kShortTable);
  const bool has_factors = keys.has_tensor(kFactors);
  const bool takes_tables = architecture.has_key("rope.scaling.attn_factor");
  if (has_tables && (!takes_tables || has_factors || type == "linear")) {
    fail(file,
         "tensor rope_factors_long.weight: this model has no place for "
         "it beside its other scaling; use the model's HF folder");
  }
  if (type == "longrope" && !has_tables) {
    fail(file,
         "rope: longrope has no tables rope_factors_long and "
         "rope_factors_short; use the model's HF folder");
  }
  if (has_tables) read_longrope(keys, config.rope);
  if (has_factors) {
    if (config.rope.type != "none") {
      fail(file,
           "tensor rope_freqs.weight: expected no scaling of the rope "
           "beside it, found " +
               type);
    }
    config.rope.type = "factors";
    config.rope.factors = read_table(file, kFactors);
  }
}

void read_rope(const Keys& keys, const Architecture& architecture,
               ModelConfig& config) {
  constexpr double kTheta = 10000.0;
  config.rope.theta = keys.number_or("rope.freq_base", kTheta);
  if (!keys.has("rope.freq_base")) {
    config.notes.push_back(str(keys.file().path(), ": no ",
                               keys.whole("rope.freq_base"), "; using ", kTheta,
                               ", the default of ", architecture.name));
  }
  config.rotary_dim = keys.integer_or("rope.dimension_count", config.head_dim);
  if (architecture.interleaves && config.rotary_dim != config.head_dim) {
    fail(keys.file(), str("metadata ", keys.whole("rope.dimension_count"),
                          ": expected the whole head of ", config.head_dim,
                          ", found ", config.rotary_dim));
  }
  read_scaling(keys, architecture, config);
}

void read_vocabulary(const Keys& keys, ModelConfig& config) {
  const GgufFile& file = keys.file();
  const TensorView* embedding = find_tensor(file, "token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    fail(file, "tensor token_embd.weight: expected a matrix, found none");
  }
  config.vocab_size = embedding->shape[0];
  const int64_t stated = keys.integer_or("vocab_size", config.vocab_size);
  if (stated != config.vocab_size) {
    fail(file,
         str("metadata ", keys.whole("vocab_size"), ": expected the ",
             config.vocab_size, " rows of token_embd.weight, found ", stated));
  }
  const char* tokens = "tokenizer.ggml.tokens";
  const uint64_t count = file.size_of(tokens);
  if (count > static_cast<uint64_t>(config.vocab_size)) {
    fail(file,
         str("metadata ", tokens, ": expected at most the ", config.vocab_size,
             " rows of token_embd.weight, found ", count));
  }
}

void read_heads(const Keys& keys, ModelConfig& config) {
  const GgufFile& file = keys.file();
  config.num_heads = keys.integer("attention.head_count");
  config.num_kv_heads =
      keys.integer_or("attention.head_count_kv", config.num_heads);
  const bool divides =
      config.num_heads > 0 && config.hidden_size % config.num_heads == 0;
  const char* key_length = "attention.key_length";
  if (!keys.has(key_length) && !divides) {
    fail(file, str("metadata ", keys.whole("attention.head_count"),
                   ": expected a divisor of the width ", config.hidden_size,
                   ", found ", config.num_heads));
  }
  config.head_dim = keys.integer_or(
      key_length, divides ? config.hidden_size / config.num_heads : 0);
  const int64_t value_length =
      keys.integer_or("attention.value_length", config.head_dim);
  if (value_length != config.head_dim) {
    fail(file, str("metadata ", keys.whole("attention.value_length"),
                   ": expected the keys' ", config.head_dim, ", found ",
                   value_length));
  }
}

}  // namespace

std::optional<GgufForm> gguf_form(const std::string& family) {
  // Conversions know no difference between these.
  const bool is_llama = family == "mistral" || family == "ministral";
  for (const Architecture& one : architectures()) {
    if ((is_llama ? "llama" : family) != one.family) continue;
    return GgufForm{one.name, one.interleaves, one.naming, one.more};
  }
  return std::nullopt;
}

std::unique_ptr<TensorSource> open_gguf_tensors(
    std::shared_ptr<const GgufFile> file) {
  return std::make_unique<GgufTensors>(std::move(file));
}

ModelConfig config_from_gguf(const GgufFile& file) {
  const Architecture& architecture = architecture_of(file);
  const Keys keys(file, architecture.name);
  refuse_unknown_keys(keys, architecture);
  ModelConfig config;
  const Family& family = family_of_type(architecture.family);
  start_config(family, config);
  // The conversion has added the one to the norms' weights.
  if (config.norm == NormKind::kRmsPlusOne) config.norm = NormKind::kRms;
  config.num_layers = keys.integer("block_count");
  config.hidden_size = keys.integer("embedding_length");
  config.intermediate_size = keys.integer("feed_forward_length");
  config.max_positions = keys.integer("context_length");
  read_heads(keys, config);
  read_rope(keys, architecture, config);
  read_vocabulary(keys, config);
  config.tied_embeddings = !keys.has_tensor("output.weight");
  // Layers are counted in lists, and heads divided by: both must be sane.
  if (config.num_layers >= 1 && config.num_layers <= 1024 &&
      config.num_heads >= 1) {
    read_layers(keys, architecture, family, config);
  }
  check_config(config, file.path());
  return config;
}

}  // namespace selfalign::formats
