// SPDX-License-Identifier: Apache-2.0
#include "formats/model_config.h"

#include <cmath>

#include "base/error.h"
#include "base/shown.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

void check_range(const std::string& where, const char* name, int64_t value,
                 int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  fail(where, str(name, ": expected ", least, " to ", most, ", found ", value));
}

void check_positive(const std::string& where, const char* name, double value) {
  // As the kernels have it, in float32.
  const auto single = static_cast<float>(value);
  if (std::isfinite(single) && single > 0.0f) return;
  fail(where,
       str(name, ": expected a number above 0 and within float32, found ",
           value));
}

void check_original_positions(const RopeConfig& rope,
                              const std::string& where) {
  check_range(where, "rope original positions", rope.original_positions, 1,
              int64_t{1} << 27);
}

void check_factors(const std::vector<double>& factors, const char* name,
                   int64_t rotary_dim, const std::string& where) {
  if (static_cast<int64_t>(factors.size()) != rotary_dim / 2) {
    fail(where,
         str(name, ": expected ", rotary_dim / 2,
             " numbers, half the rotated dimensions, found ", factors.size()));
  }
  for (const double factor : factors) check_positive(where, name, factor);
}

void check_llama3(const RopeConfig& rope, const std::string& where) {
  check_positive(where, "rope low_freq_factor", rope.low_freq_factor);
  check_positive(where, "rope high_freq_factor", rope.high_freq_factor);
  if (rope.low_freq_factor >= rope.high_freq_factor) {
    fail(where, str("rope: expected low_freq_factor below high_freq_factor, "
                    "found ",
                    rope.low_freq_factor, " and ", rope.high_freq_factor));
  }
  check_original_positions(rope, where);
}

void check_yarn(const RopeConfig& rope, const std::string& where) {
  check_positive(where, "rope beta_fast", rope.beta_fast);
  check_positive(where, "rope beta_slow", rope.beta_slow);
  if (rope.beta_fast < rope.beta_slow) {
    fail(where, str("rope: expected beta_slow up to beta_fast, found ",
                    rope.beta_slow, " and ", rope.beta_fast));
  }
  if (rope.theta <= 1.0) {
    fail(where,
         str("rope theta: expected more than 1 with yarn, found ", rope.theta));
  }
  check_original_positions(rope, where);
}

void check_rope(const RopeConfig& rope, int64_t rotary_dim,
                const std::string& where) {
  check_positive(where, "rope theta", rope.theta);
  check_positive(where, "rope factor", rope.factor);
  check_positive(where, "rope attention_factor", rope.attention_factor);
  if (rope.type == "none" || rope.type == "linear") return;
  if (rope.type == "llama3") return check_llama3(rope, where);
  if (rope.type == "yarn") return check_yarn(rope, where);
  if (rope.type == "longrope") {
    check_factors(rope.factors, "rope short_factor", rotary_dim, where);
    check_factors(rope.long_factors, "rope long_factor", rotary_dim, where);
    return check_original_positions(rope, where);
  }
  if (rope.type == "factors") {
    return check_factors(rope.factors, "rope factors", rotary_dim, where);
  }
  fail(where,
       "rope type: expected none, linear, llama3, yarn, longrope or "
       "factors, found " +
           shown(rope.type));
}

void check_scales(const ModelConfig& config, const std::string& where) {
  check_positive(where, "embedding scale", config.embedding_scale);
  check_positive(where, "residual scale", config.residual_scale);
  check_positive(where, "logit scale", config.logit_scale);
  const auto check_optional = [&](const char* name, double value) {
    if (value != 0.0) check_positive(where, name, value);
  };
  check_optional("attention scale", config.attention_scale);
  check_optional("soft cap of attention", config.attention_softcap);
  check_optional("soft cap of logits", config.logit_softcap);
}

void check_layers(const ModelConfig& config, const std::string& where) {
  const auto num_layers = static_cast<size_t>(config.num_layers);
  const auto check_count = [&](const char* name, size_t found) {
    if (found == 0 || found == num_layers) return;
    fail(where, str(name, ": expected one for each of the ", num_layers,
                    " layers, found ", found));
  };
  check_count("windows", config.windows.size());
  check_count("layers without rope", config.without_rope.size());
  for (const int64_t window : config.windows) {
    check_range(where, "window", window, 0, int64_t{1} << 27);
  }
}

}  // namespace

const RopeConfig* ModelConfig::rope_of(int64_t layer) const {
  if (!without_rope.empty() && without_rope[static_cast<size_t>(layer)]) {
    return nullptr;
  }
  return local_rope.theta != 0.0 && window_of(layer) > 0 ? &local_rope : &rope;
}

double ModelConfig::score_scale() const {
  return attention_scale != 0.0
             ? attention_scale
             : 1.0 / std::sqrt(static_cast<double>(head_dim));
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
  check_range(where, "rotated dimensions", config.rotary_dim, 2,
              config.head_dim);
  if (config.rotary_dim % 2 != 0) {
    fail(where, str("rotated dimensions of a head: expected an even number, "
                    "found ",
                    config.rotary_dim, " of ", config.head_dim));
  }
  if (!(config.norm_eps >= 0.0 && config.norm_eps < 1.0)) {
    fail(where, str("norm epsilon: expected 0 to 1, found ", config.norm_eps));
  }
  check_layers(config, where);
  check_scales(config, where);
  check_rope(config.rope, config.rotary_dim, where);
  if (config.local_rope.theta != 0.0) {
    check_rope(config.local_rope, config.rotary_dim, where);
  }
}

}  // namespace selfalign::formats
