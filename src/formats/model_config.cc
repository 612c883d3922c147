// SPDX-License-Identifier: Apache-2.0
#include "formats/model_config.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "base/error.h"
#include "base/shown.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

// A member that is null means the same as a missing one.
Json without_nulls(const Json& object) {
  Json::object_t kept;
  for (const auto& [name, value] : object.items()) {
    // At the end, not in its place, which is looked for: no name stands twice.
    if (!value.is_null()) kept.emplace_back(name, value);
  }
  return kept;
}

void check_architecture(const Json& json, const std::string& where) {
  const std::string type = json_string(json, "model_type", where);
  std::string found = type;
  if (json.contains("architectures")) {
    const Json& names = json["architectures"];
    if (!names.is_array() || names.size() != 1 || !names[0].is_string()) {
      fail(where, "architectures: expected one name, found " +
                      shown(dump_json(names)));
    }
    found = names[0].get<std::string>();
    if (type == "llama" && found == "LlamaForCausalLM") return;
  } else if (type == "llama") {
    return;
  }
  fail(where,
       "expected architecture LlamaForCausalLM (model_type llama), "
       "found " +
           shown(found) + " (model_type " + shown(type) +
           "); this program runs LLaMA-family models only");
}

void refuse_variants(const Json& json, const std::string& where) {
  const std::string activation =
      json_string_or(json, "hidden_act", where, "silu");
  if (activation != "silu") {
    fail(where, "hidden_act: expected silu, found " + shown(activation));
  }
  if (json_bool_or(json, "mlp_bias", where, false)) {
    fail(where,
         "mlp_bias: expected false, found true; such models are not "
         "supported");
  }
  if (json.contains("quantization_config")) {
    fail(where,
         "quantization_config: expected float weights, found "
         "quantised ones; use the original model or a GGUF file");
  }
  if (json_number_or(json, "partial_rotary_factor", where, 1.0) != 1.0) {
    fail(where,
         "partial_rotary_factor: expected 1, found another; such "
         "models are not supported");
  }
}

// The object that describes the rope: "rope_parameters" since transformers 5,
// "rope_scaling" before; empty if there is none.
Json rope_object(const Json& json, const std::string& where) {
  Json rope = Json::object();
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    if (!json.contains(name)) continue;
    if (!json[name].is_object()) {
      fail(where, str(name, ": expected an object, found ",
                      shown(dump_json(json[name]))));
    }
    Json found = without_nulls(json[name]);
    if (!rope.empty() && rope != found) {
      fail(where,
           "rope_scaling and rope_parameters contradict each other; "
           "remove the wrong one");
    }
    rope = std::move(found);
  }
  return rope;
}

void read_theta(const Json& json, const Json& rope, const std::string& where,
                ModelConfig& config) {
  const bool outside = json.contains("rope_theta");
  const bool inside = rope.contains("rope_theta");
  if (!outside && !inside) {
    fail(where,
         "rope_theta: expected a number (at the top or in "
         "rope_parameters), found nothing; add the value that the "
         "model was trained with (10000 for LLaMA 1 and 2)");
  }
  config.rope_theta = json_number(outside ? json : rope, "rope_theta", where);
  if (outside && inside &&
      json_number(rope, "rope_theta", where) != config.rope_theta) {
    fail(where, "rope_theta stands twice with different values");
  }
}

void refuse_rope_members(const Json& rope,
                         std::initializer_list<const char*> known,
                         const std::string& where) {
  for (const auto& [name, value] : rope.items()) {
    const bool is_known =
        std::find(known.begin(), known.end(), name) != known.end();
    const bool whole_head = name == "partial_rotary_factor" &&
                            value.is_number() && value.get<double>() == 1.0;
    if (name == "rope_theta" || name == "rope_type" || name == "type" ||
        is_known || whole_head) {
      continue;
    }
    fail(where, "rope: member " + shown(name) +
                    " is not known for this rope type; "
                    "expected only members that this program applies");
  }
}

void read_rope(const Json& json, const std::string& where,
               ModelConfig& config) {
  const Json rope = rope_object(json, where);
  read_theta(json, rope, where, config);
  std::string type = json_string_or(rope, "type", where, "");
  type = json_string_or(rope, "rope_type", where, type);
  const bool only_theta =
      rope.empty() || (rope.size() == 1 && rope.contains("rope_theta"));
  if (type == "default" || (type.empty() && only_theta)) {
    refuse_rope_members(rope, {}, where);
    config.rope_type = "none";
  } else if (type == "linear") {
    refuse_rope_members(rope, {"factor"}, where);
    config.rope_type = type;
    config.rope_factor = json_number(rope, "factor", where);
  } else if (type == "llama3") {
    refuse_rope_members(rope,
                        {"factor", "low_freq_factor", "high_freq_factor",
                         "original_max_position_embeddings"},
                        where);
    config.rope_type = type;
    config.rope_factor = json_number(rope, "factor", where);
    config.rope_low_freq_factor = json_number(rope, "low_freq_factor", where);
    config.rope_high_freq_factor = json_number(rope, "high_freq_factor", where);
    config.rope_original_positions =
        json_int(rope, "original_max_position_embeddings", where);
  } else {
    fail(where, "rope type: expected default, linear or llama3, found \"" +
                    type + "\"; such models are not supported");
  }
}

void check_range(const std::string& where, const char* name, int64_t value,
                 int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  fail(where, str(name, ": expected ", least, " to ", most, ", found ", value));
}

void check_rope(const ModelConfig& config, const std::string& where) {
  const auto positive = [&](const char* name, double value) {
    if (std::isfinite(value) && value > 0.0) return;
    fail(where, str(name, ": expected a number above 0, found ", value));
  };
  positive("rope theta", config.rope_theta);
  positive("rope factor", config.rope_factor);
  if (config.rope_type == "none" || config.rope_type == "linear") return;
  if (config.rope_type != "llama3") {
    fail(where, "rope type: expected none, linear or llama3, found " +
                    shown(config.rope_type));
  }
  positive("rope low_freq_factor", config.rope_low_freq_factor);
  positive("rope high_freq_factor", config.rope_high_freq_factor);
  if (config.rope_low_freq_factor >= config.rope_high_freq_factor) {
    fail(where, str("rope: expected low_freq_factor below high_freq_factor, "
                    "found ",
                    config.rope_low_freq_factor, " and ",
                    config.rope_high_freq_factor));
  }
  check_range(where, "rope original positions", config.rope_original_positions,
              1, int64_t{1} << 27);
}

}  // namespace

ModelConfig config_from_json(const Json& document, const std::string& where) {
  if (!document.is_object()) fail(where, "expected a JSON object");
  const Json json = without_nulls(document);
  check_architecture(json, where);
  refuse_variants(json, where);
  ModelConfig config;
  config.num_layers = json_int(json, "num_hidden_layers", where);
  config.hidden_size = json_int(json, "hidden_size", where);
  config.num_heads = json_int(json, "num_attention_heads", where);
  config.num_kv_heads =
      json_int_or(json, "num_key_value_heads", where, config.num_heads);
  config.intermediate_size = json_int(json, "intermediate_size", where);
  config.vocab_size = json_int(json, "vocab_size", where);
  config.max_positions = json_int(json, "max_position_embeddings", where);
  config.rms_norm_eps = json_number(json, "rms_norm_eps", where);
  config.tied_embeddings =
      json_bool_or(json, "tie_word_embeddings", where, false);
  config.attention_bias = json_bool_or(json, "attention_bias", where, false);
  if (json.contains("head_dim")) {
    config.head_dim = json_int(json, "head_dim", where);
  } else if (config.num_heads > 0 &&
             config.hidden_size % config.num_heads == 0) {
    config.head_dim = config.hidden_size / config.num_heads;
  } else {
    fail(where, str("num_attention_heads: expected a divisor of hidden_size ",
                    config.hidden_size, ", found ", config.num_heads));
  }
  read_rope(json, where, config);
  check_config(config, where);
  return config;
}

void check_config(const ModelConfig& config, const std::string& where) {
  check_range(where, "layers", config.num_layers, 1, 1024);
  check_range(where, "width", config.hidden_size, 1, 1 << 17);
  check_range(where, "heads", config.num_heads, 1, 1024);
  check_range(where, "key-value heads", config.num_kv_heads, 1,
              config.num_heads);
  check_range(where, "head dimension", config.head_dim, 2, 1024);
  check_range(where, "MLP width", config.intermediate_size, 1, 1 << 20);
  check_range(where, "vocabulary size", config.vocab_size, 1, 1 << 24);
  check_range(where, "positions", config.max_positions, 1, int64_t{1} << 27);
  if (config.num_heads % config.num_kv_heads != 0) {
    fail(where, str("key-value heads: expected a divisor of the ",
                    config.num_heads, " heads, found ", config.num_kv_heads));
  }
  if (config.head_dim % 2 != 0) {
    fail(where, str("head dimension: expected an even number, found ",
                    config.head_dim));
  }
  if (!(config.rms_norm_eps >= 0.0 && config.rms_norm_eps < 1.0)) {
    fail(where,
         str("RMS norm epsilon: expected 0 to 1, found ", config.rms_norm_eps));
  }
  check_rope(config, where);
}

}  // namespace selfalign::formats
