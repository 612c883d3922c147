// SPDX-License-Identifier: Apache-2.0
// config.json in the words of ModelConfig: what all families share is read in
// one place, what is its own by the row of a family in kFamilies.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/joined.h"
#include "base/shown.h"
#include "formats/config_members.h"
#include "formats/family.h"
#include "formats/hf_rope.h"
#include "formats/model_config.h"

namespace selfalign::formats {
namespace {

Activation activation_named(const std::string& name, const Members& json) {
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" ||
      name == "gelu_fast") {
    return Activation::kGeluTanh;
  }
  if (name == "relu2") return Activation::kReluSquared;
  json.refuse(
      "hidden_act: expected silu, gelu, gelu_new, gelu_pytorch_tanh or relu2, "
      "found " +
      shown(name));
}

// The windows that layer_types names, or else those of `is_windowed`; nothing
// where there is no window.
template <typename IsWindowed>
void read_windows(const Members& json, int64_t window,
                  const IsWindowed& is_windowed, ModelConfig& config) {
  const char* name = "layer_types";
  std::vector<int64_t> windows;
  if (json.has(name)) {
    for (const Json& type : json.list(name)) {
      if (type != "full_attention" && type != "sliding_attention") {
        json.refuse(str(name,
                        ": expected full_attention or "
                        "sliding_attention, found ",
                        shown(dump_json(type)),
                        "; such models are not supported"));
      }
      windows.push_back(type == "sliding_attention" ? window : 0);
    }
  } else {
    for (int64_t i = 0; i < config.num_layers; ++i) {
      windows.push_back(is_windowed(i) ? window : 0);
    }
  }
  if (static_cast<int64_t>(windows.size()) != config.num_layers) {
    json.refuse(str(name, ": expected one for each of the ", config.num_layers,
                    " layers, found ", windows.size()));
  }
  if (window != 0) config.windows = std::move(windows);
}

// A window that is null is none; where it is missing the family has its own.
int64_t window_or(const Members& json, int64_t other) {
  const char* name = "sliding_window";
  return json.integer_or(name, json.is_null(name) ? 0 : other);
}

void read_windows(const Members& json, const Family& family,
                  ModelConfig& config) {
  read_windows(
      json, window_or(json, family.window),
      [&](int64_t i) { return is_before_nth(i, family.full_every); }, config);
}

void read_llama(const Members& json, const Family&, ModelConfig& config) {
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", false);
  config.mlp_bias = json.flag_or("mlp_bias", false);
}

void read_qwen_windows(const Members& json, const Family& family,
                       ModelConfig& config) {
  if (!json.flag_or("use_sliding_window", false)) return;
  const int64_t first = json.integer_or("max_window_layers", 28);
  read_windows(
      json, window_or(json, family.window),
      [first](int64_t i) { return i >= first; }, config);
}

void read_qwen2(const Members& json, const Family& family,
                ModelConfig& config) {
  config.qkv_bias = true;
  read_qwen_windows(json, family, config);
}

void read_qwen3(const Members& json, const Family& family,
                ModelConfig& config) {
  read_llama(json, family, config);
  config.mlp_bias = false;
  read_qwen_windows(json, family, config);
}

void read_gemma(const Members& json, const Family&, ModelConfig& config) {
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", false);
  if (json.flag_or("use_bidirectional_attention", false)) {
    json.refuse(
        "use_bidirectional_attention: expected false, found true; a model "
        "that sees what comes after cannot write");
  }
  // Of the first Gemma's files "gelu" means its approximation.
  const std::string name =
      json.text_or("hidden_activation", "gelu_pytorch_tanh");
  config.activation = activation_named(name, json);
}

void read_gemma_attention(const Members& json, const Family& family,
                          ModelConfig& config) {
  read_gemma(json, family, config);
  const double scalar = json.number_or("query_pre_attn_scalar", 256.0);
  config.attention_scale = scalar > 0.0 ? 1.0 / std::sqrt(scalar) : -1.0;
  const auto softcap = [&](const char* name, double other) {
    return json.number_or(name, json.is_null(name) ? 0.0 : other);
  };
  config.attention_softcap =
      softcap("attn_logit_softcapping", family.attention_softcap);
  config.logit_softcap =
      softcap("final_logit_softcapping", family.logit_softcap);
}

void read_gemma2(const Members& json, const Family& family,
                 ModelConfig& config) {
  read_gemma_attention(json, family, config);
  read_windows(json, family, config);
}

// The rope of layers with a window.
void read_local_rope(const Members& json, double theta, ModelConfig& config) {
  config.local_rope.theta = theta;
  const char* name = "rope_parameters";
  if (!json.has(name) || !json.json()[name].contains("sliding_attention")) {
    return;
  }
  const Json& local = json.json()[name]["sliding_attention"];
  if (!local.is_object()) {
    json.refuse(str(name,
                    ": sliding_attention: expected an object, "
                    "found ",
                    shown(dump_json(local))));
  }
  config.local_rope = rope_from(json, Members(local, json.where()), theta, {});
}

void read_gemma3(const Members& json, const Family& family,
                 ModelConfig& config) {
  read_gemma_attention(json, family, config);
  Family own = family;
  own.full_every = std::max<int64_t>(
      1, json.integer_or(
             "sliding_window_pattern",
             json.integer_or("_sliding_window_pattern", family.full_every)));
  read_windows(json, own, config);
  read_local_rope(
      json, json.number_or("rope_local_base_freq", family.local_theta), config);
}

void read_neox(const Members& json, const Family& family, ModelConfig& config) {
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", true);
  config.mlp_bias = true;
  read_parallel(json, family, config);
}

void read_olmo2(const Members& json, const Family&, ModelConfig& config) {
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", false);
}

void read_olmo3(const Members& json, const Family& family,
                ModelConfig& config) {
  read_olmo2(json, family, config);
  read_windows(json, family, config);
  read_local_rope(json, config.rope.theta, config);
}

void read_smollm3(const Members& json, const Family& family,
                  ModelConfig& config) {
  read_llama(json, family, config);
  const int64_t period = std::max<int64_t>(
      1, json.integer_or("no_rope_layer_interval", family.unrotated_every));
  if (json.has("no_rope_layers")) {
    for (const double rotates : json.numbers("no_rope_layers")) {
      config.without_rope.push_back(rotates == 0.0);
    }
  } else {
    for (int64_t i = 0; i < config.num_layers; ++i) {
      config.without_rope.push_back(!is_before_nth(i, period));
    }
  }
  if (!json.flag_or("use_sliding_window", false)) return;
  const auto is_windowed = [&config](int64_t i) {
    return static_cast<size_t>(i) < config.without_rope.size() &&
           config.without_rope[static_cast<size_t>(i)];
  };
  read_windows(json, window_or(json, family.window), is_windowed, config);
}

void read_granite(const Members& json, const Family& family,
                  ModelConfig& config) {
  read_llama(json, family, config);
  config.embedding_scale = json.number_or("embedding_multiplier", 1.0);
  const double scale = json.number_or("attention_multiplier", 1.0);
  config.attention_scale = scale != 0.0 ? scale : -1.0;  // which is refused
  config.residual_scale = json.number_or("residual_multiplier", 1.0);
  const double scaling = json.number_or("logits_scaling", 1.0);
  config.logit_scale = scaling != 0.0 ? 1.0 / scaling : 0.0;
}

void read_starcoder2(const Members& json, const Family& family,
                     ModelConfig& config) {
  config.qkv_bias = config.o_bias = config.mlp_bias =
      json.flag_or("use_bias", true);
  read_windows(json, family, config);
}

void read_stablelm(const Members& json, const Family& family,
                   ModelConfig& config) {
  config.qkv_bias = json.flag_or("use_qkv_bias", false);
  if (!json.flag_or("qk_layernorm", false)) config.qk_norm = QkNorm::kNone;
  read_parallel(json, family, config);
}

void read_seed_oss(const Members& json, const Family& family,
                   ModelConfig& config) {
  read_llama(json, family, config);
  config.qkv_bias = json.flag_or("attention_bias", true);
  config.o_bias = json.flag_or("attention_out_bias", false);
}

constexpr Family kFamilies[] = {
    {.json = {"llama", "LlamaForCausalLM", read_llama}},
    {.json = {"mistral", "MistralForCausalLM", read_windows}, .window = 4096},
    {.json = {"ministral", "MinistralForCausalLM", read_windows},
     .window = 4096},
    {.json = {"qwen2", "Qwen2ForCausalLM", read_qwen2}, .window = 4096},
    {.json = {"qwen3", "Qwen3ForCausalLM", read_qwen3},
     .qk_norm = QkNorm::kHead,
     .window = 4096},
    {.json = {"gemma", "GemmaForCausalLM", read_gemma},
     .tied = true,
     .norm = NormKind::kRmsPlusOne,
     .activation = Activation::kGeluTanh,
     .scales_embedding = true},
    {.json = {"gemma2", "Gemma2ForCausalLM", read_gemma2},
     .tied = true,
     .norm = NormKind::kRmsPlusOne,
     .activation = Activation::kGeluTanh,
     .block = BlockForm::kSandwich,
     .scales_embedding = true,
     .window = 4096,
     .full_every = 2,
     .attention_softcap = 50.0,
     .logit_softcap = 30.0},
    {.json = {"gemma3_text", "Gemma3ForCausalLM", read_gemma3},
     .tied = true,
     .rope = {.theta = 1e6},
     .norm = NormKind::kRmsPlusOne,
     .activation = Activation::kGeluTanh,
     .block = BlockForm::kSandwich,
     .qk_norm = QkNorm::kHead,
     .scales_embedding = true,
     .window = 4096,
     .full_every = 6,
     .local_theta = 10000.0},
    {.json = {"phi3", "Phi3ForCausalLM", read_windows},
     .norm_eps = 1e-5,
     .rope = {.only_longrope = true},
     .takes_rotary_share = true},
    {.json = {"gpt_neox", "GPTNeoXForCausalLM", read_neox},
     .norm_eps_name = "layer_norm_eps",
     .norm_eps = 1e-5,
     .rotary_share = 0.25,
     .takes_rotary_share = true,
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .gated = false,
     .parallel = BlockForm::kParallel,
     .is_parallel = true},
    {.json = {"olmo2", "Olmo2ForCausalLM", read_olmo2},
     .norm_eps = 1e-5,
     .block = BlockForm::kPost,
     .qk_norm = QkNorm::kAllHeads},
    {.json = {"olmo3", "Olmo3ForCausalLM", read_olmo3},
     .norm_eps = 1e-5,
     .rope = {.theta = 5e5},
     .block = BlockForm::kPost,
     .qk_norm = QkNorm::kAllHeads,
     .window = 4096,
     .full_every = 4},
    {.json = {"smollm3", "SmolLM3ForCausalLM", read_smollm3},
     .tied = true,
     .rope = {.theta = 2e6},
     .unrotated_every = 4},
    {.json = {"granite", "GraniteForCausalLM", read_granite}},
    {.json = {"starcoder2", "Starcoder2ForCausalLM", read_starcoder2},
     .norm_eps_name = "norm_epsilon",
     .norm_eps = 1e-5,
     .tied = true,
     .norm = NormKind::kLayer,
     .activation = Activation::kGeluTanh,
     .gated = false},
    {.json = {"stablelm", "StableLmForCausalLM", read_stablelm},
     .norm_eps_name = "layer_norm_eps",
     .norm_eps = 1e-5,
     .rotary_share = 0.25,
     .takes_rotary_share = true,
     .norm = NormKind::kLayer,
     .parallel = BlockForm::kParallelOneNorm,
     .qk_norm = QkNorm::kEachHead},
    {.json = {"arcee", "ArceeForCausalLM", read_llama},
     .norm_eps = 1e-5,
     .activation = Activation::kReluSquared,
     .gated = false},
    {.json = {"seed_oss", "SeedOssForCausalLM", read_seed_oss}},
};

const Family* find_family(const std::string& model_type) {
  const auto family = std::find_if(
      std::begin(kFamilies), std::end(kFamilies),
      [&](const Family& f) { return f.json.model_type == model_type; });
  return family == std::end(kFamilies) ? nullptr : family;
}

const Family& family_of(const Members& json) {
  const std::string type = json.text("model_type");
  const Family* family = find_family(type);
  std::string found = type;
  if (json.has("architectures")) {
    const Json& names = json.list("architectures");
    if (names.size() != 1 || !names[0].is_string()) {
      json.refuse("architectures: expected one name, found " +
                  shown(dump_json(names)));
    }
    found = names[0].get<std::string>();
  }
  if (family != nullptr &&
      (!json.has("architectures") || found == family->json.architecture)) {
    return *family;
  }
  const auto name = [](const Family& f) { return f.json.architecture; };
  json.refuse(str("the architecture ", shown(found), " (model_type ",
                  shown(type), ") is not supported; this program runs ",
                  joined(kFamilies, ", ", name)));
}

// "rotary_pct" and "rotary_emb_base" are GPT-NeoX's words.
void read_rope(const Members& json, const Family& family, ModelConfig& config) {
  const bool is_neox = config.family == "gpt_neox";
  const char* theta =
      is_neox && json.has("rotary_emb_base") ? "rotary_emb_base" : "rope_theta";
  const RopeObjects ropes(json, family.rope);
  config.rope = ropes.read("full_attention", theta, family.rope.theta);
  if (!ropes.has_theta("full_attention", theta)) {
    config.notes.push_back(str(json.where(), ": no ", theta, "; using ",
                               family.rope.theta, ", the default of ",
                               config.family));
  }
  std::optional<double> stated;
  for (const char* name : {"partial_rotary_factor", "rotary_pct"}) {
    if (!json.has(name)) continue;
    stated = json.number(name);
  }
  const double share = ropes.partial_or(stated.value_or(family.rotary_share));
  if (stated && *stated != share) {
    json.refuse(
        str("partial_rotary_factor stands twice with different "
            "values, ",
            *stated, " and ", share, "; remove the wrong one"));
  }
  if (!(share > 0.0 && share <= 1.0) ||
      (share != 1.0 && !family.takes_rotary_share)) {
    json.refuse(str("partial_rotary_factor: expected ",
                    family.takes_rotary_share ? "0 to 1" : "1", ", found ",
                    share));
  }
  config.rotary_dim =
      static_cast<int64_t>(static_cast<double>(config.head_dim) * share);
}

void read_sizes(const Members& json, ModelConfig& config) {
  config.num_layers = json.integer("num_hidden_layers");
  config.hidden_size = json.integer("hidden_size");
  config.num_heads = json.integer("num_attention_heads");
  config.num_kv_heads =
      json.integer_or("num_key_value_heads", config.num_heads);
  config.intermediate_size = json.integer("intermediate_size");
  config.vocab_size = json.integer("vocab_size");
  config.max_positions = json.integer("max_position_embeddings");
  if (json.has("head_dim")) {
    config.head_dim = json.integer("head_dim");
  } else if (config.num_heads > 0 &&
             config.hidden_size % config.num_heads == 0) {
    config.head_dim = config.hidden_size / config.num_heads;
  } else {
    json.refuse(str("num_attention_heads: expected a divisor of hidden_size ",
                    config.hidden_size, ", found ", config.num_heads));
  }
}

}  // namespace

const Family& family_of_type(const std::string& model_type) {
  const Family* family = find_family(model_type);
  SELFALIGN_CHECK(family != nullptr, "no family ", model_type);
  return *family;
}

void start_config(const Family& family, ModelConfig& config) {
  config.family = family.json.model_type;
  config.norm = family.norm;
  config.norm_bias = family.norm == NormKind::kLayer;
  config.activation = family.activation;
  config.gated = family.gated;
  config.block = family.block;
  config.qk_norm = family.qk_norm;
}

double embedding_scale_of(const Family& family, const ModelConfig& config) {
  return family.scales_embedding
             ? std::sqrt(static_cast<double>(config.hidden_size))
             : 1.0;
}

ModelConfig config_from_json(const Json& document, const std::string& where) {
  if (!document.is_object()) {
    throw Error(ErrorKind::kInput, where + ": expected a JSON object");
  }
  const Members json(document, where);
  const Family& family = family_of(json);
  if (json.has("quantization_config")) {
    json.refuse(
        "quantization_config: expected float weights, found "
        "quantised ones; use the original model or a GGUF file");
  }
  ModelConfig config;
  start_config(family, config);
  read_sizes(json, config);
  config.tied_embeddings = json.flag_or("tie_word_embeddings", family.tied);
  if (json.has("hidden_act")) {
    config.activation = activation_named(json.text("hidden_act"), json);
  }
  read_rope(json, family, config);
  // Layers are counted in lists: their number must be sane before.
  if (config.num_layers >= 1 && config.num_layers <= 1024) {
    config.norm_eps = json.number_or(family.norm_eps_name, family.norm_eps);
    config.embedding_scale = embedding_scale_of(family, config);
    family.json.read(json, family, config);
  }
  check_config(config, where);
  return config;
}

}  // namespace selfalign::formats
