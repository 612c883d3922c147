// SPDX-License-Identifier: Apache-2.0
// config.json in the words of ModelConfig: what all families share is read in
// one place, what is its own by the row of a family in kFamilies.
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/shown.h"
#include "formats/model_config.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

// The members of an object that are not null: a null means the same as a
// missing member, but where a family says otherwise.
class Members {
 public:
  Members(const Json& object, std::string where)
      : all_(object), where_(std::move(where)) {
    Json::object_t kept;
    for (const auto& [name, value] : object.items()) {
      // At the end, not in its place, which is looked for: no name stands
      // twice.
      if (!value.is_null()) kept.emplace_back(name, value);
    }
    set_ = std::move(kept);
  }

  const std::string& where() const { return where_; }
  const Json& json() const { return set_; }
  bool has(const char* name) const { return set_.contains(name); }
  bool is_null(const char* name) const {
    return all_.contains(name) && !has(name);
  }
  std::string text(const char* name) const {
    return json_string(set_, name, where_);
  }
  std::string text_or(const char* name, const std::string& other) const {
    return json_string_or(set_, name, where_, other);
  }
  int64_t integer(const char* name) const {
    return json_int(set_, name, where_);
  }
  int64_t integer_or(const char* name, int64_t other) const {
    return json_int_or(set_, name, where_, other);
  }
  double number(const char* name) const {
    return json_number(set_, name, where_);
  }
  double number_or(const char* name, double other) const {
    return json_number_or(set_, name, where_, other);
  }
  bool flag_or(const char* name, bool other) const {
    return json_bool_or(set_, name, where_, other);
  }
  std::vector<double> numbers(const char* name) const {
    const Json& list = this->list(name);
    std::vector<double> numbers;
    numbers.reserve(list.size());
    for (const Json& value : list) {
      if (!value.is_number()) {
        fail(where_,
             str(name, ": expected numbers, found ", shown(dump_json(value))));
      }
      numbers.push_back(value.get<double>());
    }
    return numbers;
  }
  const Json& list(const char* name) const {
    const auto found = set_.find(name);
    if (found == set_.end() || !found->is_array()) {
      fail(where_,
           str(name, ": expected a list, found ",
               found == set_.end() ? "nothing" : shown(dump_json(*found))));
    }
    return *found;
  }

 private:
  const Json& all_;
  Json set_ = Json::object();
  std::string where_;
};

// ---- Rope ----

// What a family's ropes have in common.
struct RopeDefaults {
  double theta = 10000.0;
  bool only_longrope = false;  // Phi-3: every scaling is longrope
};

double positions_ratio(const Members& config, const RopeConfig& rope) {
  return static_cast<double>(config.integer("max_position_embeddings")) /
         static_cast<double>(std::max<int64_t>(1, rope.original_positions));
}

// The length the model was first trained at.
int64_t original_positions(const Members& config, const Members& rope) {
  const char* name = "original_max_position_embeddings";
  if (config.has(name)) return config.integer(name);
  return rope.integer_or(name, config.integer("max_position_embeddings"));
}

// Peng et al. 2023 (YaRN), section 3.4.
double yarn_attention_factor(const Members& rope, double factor) {
  const auto scale = [factor](double m) {
    return factor <= 1.0 ? 1.0 : 0.1 * m * std::log(factor) + 1.0;
  };
  if (rope.has("attention_factor")) return rope.number("attention_factor");
  const double some = rope.number_or("mscale", 0.0);
  const double all = rope.number_or("mscale_all_dim", 0.0);
  return some != 0.0 && all != 0.0 ? scale(some) / scale(all) : scale(1.0);
}

void read_yarn(const Members& config, const Members& members,
               RopeConfig& rope) {
  rope.original_positions = original_positions(config, members);
  rope.factor = members.number_or("factor", positions_ratio(config, rope));
  rope.beta_fast = members.number_or("beta_fast", 32.0);
  rope.beta_slow = members.number_or("beta_slow", 1.0);
  rope.truncate = members.flag_or("truncate", true);
  rope.attention_factor = yarn_attention_factor(members, rope.factor);
}

void read_longrope(const Members& config, const Members& members,
                   RopeConfig& rope) {
  rope.original_positions = original_positions(config, members);
  const double factor =
      members.number_or("factor", positions_ratio(config, rope));
  rope.factors = members.numbers("short_factor");
  rope.long_factors = members.numbers("long_factor");
  // Ding et al. 2024, equation 7.
  const double scaled =
      factor > 1.0 && rope.original_positions > 1
          ? std::sqrt(1.0 + std::log(factor) /
                                std::log(double(rope.original_positions)))
          : 1.0;
  rope.attention_factor = members.number_or("attention_factor", scaled);
}

void refuse_unknown(const Members& rope,
                    std::initializer_list<const char*> known) {
  constexpr const char* kAlways[] = {"rope_theta", "rope_type", "type",
                                     "partial_rotary_factor"};
  for (const auto& [name, value] : rope.json().items()) {
    if (std::find(known.begin(), known.end(), name) != known.end() ||
        std::find(std::begin(kAlways), std::end(kAlways), name) !=
            std::end(kAlways)) {
      continue;
    }
    fail(rope.where(), "rope: member " + shown(name) +
                           " is not known for this rope type; "
                           "expected only members that this program applies");
  }
}

// What changes the frequencies, by rope.type.
void read_scaling(const Members& config, const Members& members,
                  RopeConfig& rope) {
  if (rope.type == "linear") {
    refuse_unknown(members, {"factor", "original_max_position_embeddings"});
    rope.factor = members.number("factor");
  } else if (rope.type == "llama3") {
    refuse_unknown(members, {"factor", "low_freq_factor", "high_freq_factor",
                             "original_max_position_embeddings"});
    rope.factor = members.number("factor");
    rope.low_freq_factor = members.number("low_freq_factor");
    rope.high_freq_factor = members.number("high_freq_factor");
    rope.original_positions =
        members.integer("original_max_position_embeddings");
  } else if (rope.type == "yarn") {
    refuse_unknown(members, {"factor", "beta_fast", "beta_slow",
                             "attention_factor", "mscale", "mscale_all_dim",
                             "truncate", "original_max_position_embeddings"});
    read_yarn(config, members, rope);
  } else if (rope.type == "longrope") {
    refuse_unknown(members, {"factor", "short_factor", "long_factor",
                             "attention_factor", "long_mscale", "short_mscale",
                             "original_max_position_embeddings"});
    read_longrope(config, members, rope);
  } else {
    fail(members.where(),
         "rope type: expected default, linear, dynamic, yarn, longrope or "
         "llama3, found \"" +
             rope.type + "\"; such models are not supported");
  }
}

// `theta`: where the object has none.
RopeConfig rope_from(const Members& config, const Members& members,
                     double theta, const RopeDefaults& defaults) {
  RopeConfig rope;
  rope.theta = members.number_or("rope_theta", theta);
  std::string type = members.text_or("type", "");
  type = members.text_or("rope_type", type);
  const size_t num_plain = size_t{members.has("rope_theta")} +
                           size_t{members.has("partial_rotary_factor")};
  if (type.empty() && members.json().size() == num_plain) type = "default";
  if (defaults.only_longrope && (type == "su" || type == "yarn")) {
    type = "longrope";
  }
  if (type == "default") {
    refuse_unknown(members, {"original_max_position_embeddings"});
    return rope;
  }
  if (type == "dynamic") {
    // Within max_position_embeddings, which no context here exceeds, the
    // frequencies are the plain ones.
    refuse_unknown(members, {"factor", "original_max_position_embeddings"});
    return rope;
  }
  rope.type = type;
  read_scaling(config, members, rope);
  return rope;
}

// The objects that describe the rope: "rope_parameters" since transformers 5,
// "rope_scaling" before. With both, each must mean the same.
class RopeObjects {
 public:
  RopeObjects(const Members& config, const RopeDefaults& defaults)
      : config_(config), defaults_(defaults) {
    for (const char* name : {"rope_scaling", "rope_parameters"}) {
      if (!config.has(name)) continue;
      const Json& found = config.json()[name];
      if (!found.is_object()) {
        fail(config.where(), str(name, ": expected an object, found ",
                                 shown(dump_json(found))));
      }
      objects_.emplace_back(found);
    }
  }

  // The rope of the layers called `layers` ("full_attention"), where there is
  // an object of its own for them, or of all. `outer`: the name that theta has
  // outside of the objects.
  RopeConfig read(const char* layers, const char* outer, double theta) const {
    theta = theta_or(layers, outer, theta);
    const Json none = Json::object();
    RopeConfig rope =
        rope_from(config_, Members(none, config_.where()), theta, defaults_);
    for (size_t i = 0; i < objects_.size(); ++i) {
      const Members members(part(objects_[i], layers), config_.where());
      RopeConfig found = rope_from(config_, members, theta, defaults_);
      if (i > 0 && found != rope) {
        fail(config_.where(),
             "rope_scaling and rope_parameters contradict each other; "
             "remove the wrong one");
      }
      rope = std::move(found);
    }
    return rope;
  }

  // Whether theta stands anywhere.
  bool has_theta(const char* layers, const char* outer) const {
    return config_.has(outer) ||
           std::any_of(objects_.begin(), objects_.end(),
                       [&](const Json& object) {
                         return part(object, layers).contains("rope_theta");
                       });
  }
  double partial_or(double other) const {
    for (const Json& object : objects_) {
      const Members members(object, config_.where());
      if (members.has("partial_rotary_factor")) {
        return members.number("partial_rotary_factor");
      }
    }
    return other;
  }

 private:
  // Wherever it stands; `other` if nowhere.
  double theta_or(const char* layers, const char* outer, double other) const {
    std::optional<double> theta;
    const auto take = [&](double found) {
      if (theta && *theta != found) {
        fail(config_.where(),
             str(outer, " stands twice with different values, ", *theta,
                 " and ", found, "; remove the wrong one"));
      }
      theta = found;
    };
    if (config_.has(outer)) take(config_.number(outer));
    for (const Json& object : objects_) {
      const Members members(part(object, layers), config_.where());
      if (members.has("rope_theta")) take(members.number("rope_theta"));
    }
    return theta.value_or(other);
  }

  static const Json& part(const Json& object, const char* layers) {
    const auto found = object.find(layers);
    return found != object.end() && found->is_object() ? *found : object;
  }

  const Members& config_;
  const RopeDefaults& defaults_;
  std::vector<Json> objects_;
};

// ---- Families ----

struct Family {
  const char* model_type;
  const char* architecture;
  void (*read)(const Members& json, ModelConfig& config);
  bool tied = false;  // where tie_word_embeddings is missing
  RopeDefaults rope = {};
  double rotary_share = 1.0;        // where it is missing
  bool takes_rotary_share = false;  // others have none but 1
};

Activation activation_named(const std::string& name, const std::string& where) {
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" ||
      name == "gelu_fast") {
    return Activation::kGeluTanh;
  }
  if (name == "relu2") return Activation::kReluSquared;
  fail(where,
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
        fail(json.where(),
             str(name,
                 ": expected full_attention or "
                 "sliding_attention, found ",
                 shown(dump_json(type)), "; such models are not supported"));
      }
      windows.push_back(type == "sliding_attention" ? window : 0);
    }
  } else {
    for (int64_t i = 0; i < config.num_layers; ++i) {
      windows.push_back(is_windowed(i) ? window : 0);
    }
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
    fail(json.where(),
         "use_bidirectional_attention: expected false, found true; a model "
         "that sees what comes after cannot write");
  }
  // Of the first Gemma's files "gelu" means its approximation.
  const std::string name =
      json.text_or("hidden_activation", "gelu_pytorch_tanh");
  config.activation = activation_named(name, json.where());
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
    fail(json.where(), str(name,
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
      activation_named(json.text_or("hidden_act", "gelu"), json.where());
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
  config.attention_scale = json.number_or("attention_multiplier", 1.0);
  config.residual_scale = json.number_or("residual_multiplier", 1.0);
  const double scaling = json.number_or("logits_scaling", 1.0);
  config.logit_scale = scaling != 0.0 ? 1.0 / scaling : 0.0;
}

void read_starcoder2(const Members& json, ModelConfig& config) {
  read_layer_norm(json, "norm_epsilon", config);
  config.activation = activation_named(
      json.text_or("hidden_act", "gelu_pytorch_tanh"), json.where());
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
      activation_named(json.text_or("hidden_act", "relu2"), json.where());
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
      fail(json.where(), "architectures: expected one name, found " +
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
  fail(json.where(),
       str("the architecture ", shown(found), " (model_type ", shown(type),
           ") is not supported; this program runs ", known));
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
  const double share = ropes.partial_or(
      json.number_or("partial_rotary_factor",
                     json.number_or("rotary_pct", family.rotary_share)));
  if (!(share > 0.0 && share <= 1.0) ||
      (share != 1.0 && !family.takes_rotary_share)) {
    fail(json.where(),
         str("partial_rotary_factor: expected ",
             family.takes_rotary_share ? "0 to 1" : "1", ", found ", share));
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
    fail(json.where(),
         str("num_attention_heads: expected a divisor of hidden_size ",
             config.hidden_size, ", found ", config.num_heads));
  }
}

}  // namespace

ModelConfig config_from_json(const Json& document, const std::string& where) {
  if (!document.is_object()) fail(where, "expected a JSON object");
  const Members json(document, where);
  const Family& family = family_of(json);
  if (json.has("quantization_config")) {
    fail(where,
         "quantization_config: expected float weights, found "
         "quantised ones; use the original model or a GGUF file");
  }
  ModelConfig config;
  config.family = family.model_type;
  read_sizes(json, config);
  config.tied_embeddings = json.flag_or("tie_word_embeddings", family.tied);
  config.activation =
      activation_named(json.text_or("hidden_act", "silu"), where);
  read_rope(json, family, config);
  // Layers are counted in lists: their number must be sane before.
  if (config.num_layers >= 1 && config.num_layers <= 1024) {
    family.read(json, config);
  }
  check_config(config, where);
  return config;
}

}  // namespace selfalign::formats
