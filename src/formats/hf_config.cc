// SPDX-License-Identifier: Apache-2.0
// config.json in the words of ModelConfig: what all families share is read in
// one place, what is its own by the row of a family in kFamilies.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/shown.h"
#include "formats/config_members.h"
#include "formats/hf_rope.h"
#include "formats/model_config.h"

namespace selfalign::formats {
namespace {

struct Family {
  const char* model_type;
  const char* architecture;
  void (*read)(const Members& json, ModelConfig& config);
  bool tied = false;  // where tie_word_embeddings is missing
  RopeDefaults rope = {};
  double rotary_share = 1.0;        // where it is missing
  bool takes_rotary_share = false;  // others have none but 1
};

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

void read_rms_eps(const Members& json, double other, ModelConfig& config) {
  config.norm_eps = json.number_or("rms_norm_eps", other);
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

constexpr auto kEveryLayer = [](int64_t) { return true; };

// A window that is null is none; where it is missing the family has its own.
int64_t window_or(const Members& json, int64_t other) {
  const char* name = "sliding_window";
  return json.integer_or(name, json.is_null(name) ? 0 : other);
}

void read_llama(const Members& json, ModelConfig& config) {
  read_rms_eps(json, 1e-6, config);
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", false);
  config.mlp_bias = json.flag_or("mlp_bias", false);
}

void read_mistral(const Members& json, ModelConfig& config) {
  read_rms_eps(json, 1e-6, config);
  read_windows(json, window_or(json, 4096), kEveryLayer, config);
}

void read_qwen_windows(const Members& json, ModelConfig& config) {
  if (!json.flag_or("use_sliding_window", false)) return;
  const int64_t first = json.integer_or("max_window_layers", 28);
  read_windows(
      json, window_or(json, 4096), [first](int64_t i) { return i >= first; },
      config);
}

void read_qwen2(const Members& json, ModelConfig& config) {
  read_rms_eps(json, 1e-6, config);
  config.qkv_bias = true;
  read_qwen_windows(json, config);
}

void read_qwen3(const Members& json, ModelConfig& config) {
  read_llama(json, config);
  config.mlp_bias = false;
  config.qk_norm = QkNorm::kHead;
  read_qwen_windows(json, config);
}

void read_gemma(const Members& json, ModelConfig& config) {
  read_rms_eps(json, 1e-6, config);
  config.norm = NormKind::kRmsPlusOne;
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", false);
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
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

void read_gemma_attention(const Members& json, ModelConfig& config) {
  config.block = BlockForm::kSandwich;
  const double scalar = json.number_or("query_pre_attn_scalar", 256.0);
  config.attention_scale = scalar > 0.0 ? 1.0 / std::sqrt(scalar) : -1.0;
  const auto softcap = [&](const char* name, double other) {
    return json.number_or(name, json.is_null(name) ? 0.0 : other);
  };
  const bool second = config.family == "gemma2";
  config.attention_softcap =
      softcap("attn_logit_softcapping", second ? 50.0 : 0.0);
  config.logit_softcap =
      softcap("final_logit_softcapping", second ? 30.0 : 0.0);
}

void read_gemma2(const Members& json, ModelConfig& config) {
  read_gemma(json, config);
  read_gemma_attention(json, config);
  read_windows(
      json, window_or(json, 4096), [](int64_t i) { return i % 2 == 0; },
      config);
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

void read_gemma3(const Members& json, ModelConfig& config) {
  read_gemma(json, config);
  read_gemma_attention(json, config);
  config.qk_norm = QkNorm::kHead;
  const int64_t period = std::max<int64_t>(
      1, json.integer_or("sliding_window_pattern",
                         json.integer_or("_sliding_window_pattern", 6)));
  read_windows(
      json, window_or(json, 4096),
      [period](int64_t i) { return (i + 1) % period != 0; }, config);
  read_local_rope(json, json.number_or("rope_local_base_freq", 10000.0),
                  config);
}

void read_phi3(const Members& json, ModelConfig& config) {
  read_rms_eps(json, 1e-5, config);
  read_windows(json, window_or(json, 0), kEveryLayer, config);
}

void read_layer_norm(const Members& json, const char* eps,
                     ModelConfig& config) {
  config.norm = NormKind::kLayer;
  config.norm_bias = true;
  config.norm_eps = json.number_or(eps, 1e-5);
}

void read_neox(const Members& json, ModelConfig& config) {
  read_layer_norm(json, "layer_norm_eps", config);
  config.activation =
      activation_named(json.text_or("hidden_act", "gelu"), json);
  config.gated = false;
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", true);
  config.mlp_bias = true;
  config.block = json.flag_or("use_parallel_residual", true)
                     ? BlockForm::kParallel
                     : BlockForm::kPre;
}

void read_olmo2(const Members& json, ModelConfig& config) {
  read_rms_eps(json, 1e-5, config);
  config.block = BlockForm::kPost;
  config.qk_norm = QkNorm::kAllHeads;
  config.qkv_bias = config.o_bias = json.flag_or("attention_bias", false);
}

void read_olmo3(const Members& json, ModelConfig& config) {
  read_olmo2(json, config);
  read_windows(
      json, window_or(json, 4096), [](int64_t i) { return (i + 1) % 4 != 0; },
      config);
  read_local_rope(json, config.rope.theta, config);
}

void read_smollm3(const Members& json, ModelConfig& config) {
  read_llama(json, config);
  const int64_t period =
      std::max<int64_t>(1, json.integer_or("no_rope_layer_interval", 4));
  if (json.has("no_rope_layers")) {
    for (const double rotates : json.numbers("no_rope_layers")) {
      config.without_rope.push_back(rotates == 0.0);
    }
  } else {
    for (int64_t i = 0; i < config.num_layers; ++i) {
      config.without_rope.push_back((i + 1) % period == 0);
    }
  }
  if (!json.flag_or("use_sliding_window", false)) return;
  read_windows(
      json, window_or(json, 0),
      [&config](int64_t i) {
        return static_cast<size_t>(i) < config.without_rope.size() &&
               config.without_rope[static_cast<size_t>(i)];
      },
      config);
}

void read_granite(const Members& json, ModelConfig& config) {
  read_llama(json, config);
  config.embedding_scale = json.number_or("embedding_multiplier", 1.0);
  const double scale = json.number_or("attention_multiplier", 1.0);
  config.attention_scale = scale != 0.0 ? scale : -1.0;  // which is refused
  config.residual_scale = json.number_or("residual_multiplier", 1.0);
  const double scaling = json.number_or("logits_scaling", 1.0);
  config.logit_scale = scaling != 0.0 ? 1.0 / scaling : 0.0;
}

void read_starcoder2(const Members& json, ModelConfig& config) {
  read_layer_norm(json, "norm_epsilon", config);
  config.activation =
      activation_named(json.text_or("hidden_act", "gelu_pytorch_tanh"), json);
  config.gated = false;
  config.qkv_bias = config.o_bias = config.mlp_bias =
      json.flag_or("use_bias", true);
  read_windows(json, window_or(json, 0), kEveryLayer, config);
}

void read_stablelm(const Members& json, ModelConfig& config) {
  read_layer_norm(json, "layer_norm_eps", config);
  config.qkv_bias = json.flag_or("use_qkv_bias", false);
  if (json.flag_or("qk_layernorm", false)) config.qk_norm = QkNorm::kEachHead;
  if (json.flag_or("use_parallel_residual", false)) {
    config.block = BlockForm::kParallelOneNorm;
  }
}

void read_arcee(const Members& json, ModelConfig& config) {
  read_llama(json, config);
  read_rms_eps(json, 1e-5, config);
  config.activation =
      activation_named(json.text_or("hidden_act", "relu2"), json);
  config.gated = false;
}

void read_seed_oss(const Members& json, ModelConfig& config) {
  read_llama(json, config);
  config.qkv_bias = json.flag_or("attention_bias", true);
  config.o_bias = json.flag_or("attention_out_bias", false);
}

constexpr RopeDefaults with_theta(double theta) { return {.theta = theta}; }

constexpr Family kFamilies[] = {
    {"llama", "LlamaForCausalLM", read_llama},
    {"mistral", "MistralForCausalLM", read_mistral},
    {"ministral", "MinistralForCausalLM", read_mistral},
    {"qwen2", "Qwen2ForCausalLM", read_qwen2},
    {"qwen3", "Qwen3ForCausalLM", read_qwen3},
    {"gemma", "GemmaForCausalLM", read_gemma, true},
    {"gemma2", "Gemma2ForCausalLM", read_gemma2, true},
    {"gemma3_text", "Gemma3ForCausalLM", read_gemma3, true, with_theta(1e6)},
    {"phi3",
     "Phi3ForCausalLM",
     read_phi3,
     false,
     {.only_longrope = true},
     1.0,
     true},
    {"gpt_neox", "GPTNeoXForCausalLM", read_neox, false, {}, 0.25, true},
    {"olmo2", "Olmo2ForCausalLM", read_olmo2},
    {"olmo3", "Olmo3ForCausalLM", read_olmo3, false, with_theta(5e5)},
    {"smollm3", "SmolLM3ForCausalLM", read_smollm3, true, with_theta(2e6)},
    {"granite", "GraniteForCausalLM", read_granite},
    {"starcoder2", "Starcoder2ForCausalLM", read_starcoder2, true},
    {"stablelm", "StableLmForCausalLM", read_stablelm, false, {}, 0.25, true},
    {"arcee", "ArceeForCausalLM", read_arcee},
    {"seed_oss", "SeedOssForCausalLM", read_seed_oss},
};

const Family& family_of(const Members& json) {
  const std::string type = json.text("model_type");
  const auto family =
      std::find_if(std::begin(kFamilies), std::end(kFamilies),
                   [&](const Family& f) { return f.model_type == type; });
  std::string found = type;
  if (json.has("architectures")) {
    const Json& names = json.list("architectures");
    if (names.size() != 1 || !names[0].is_string()) {
      json.refuse("architectures: expected one name, found " +
                  shown(dump_json(names)));
    }
    found = names[0].get<std::string>();
  }
  if (family != std::end(kFamilies) &&
      (!json.has("architectures") || found == family->architecture)) {
    return *family;
  }
  std::string known;
  for (const Family& f : kFamilies) {
    known += str(known.empty() ? "" : ", ", f.architecture);
  }
  json.refuse(str("the architecture ", shown(found), " (model_type ",
                  shown(type), ") is not supported; this program runs ",
                  known));
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
  config.family = family.model_type;
  read_sizes(json, config);
  config.tied_embeddings = json.flag_or("tie_word_embeddings", family.tied);
  config.activation =
      activation_named(json.text_or("hidden_act", "silu"), json);
  read_rope(json, family, config);
  // Layers are counted in lists: their number must be sane before.
  if (config.num_layers >= 1 && config.num_layers <= 1024) {
    family.read(json, config);
  }
  check_config(config, where);
  return config;
}

}  // namespace selfalign::formats
