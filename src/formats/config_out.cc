// SPDX-License-Identifier: Apache-2.0
#include "formats/config_out.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/error.h"

namespace selfalign::formats {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& text) {
  throw Error(ErrorKind::kInput, where + ": " + text);
}

bool same(double a, double b) {
  return a == b || std::fabs(a - b) <= 1e-6 * std::fabs(b);
}
bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return same(x, y); });
}

bool same(const RopeConfig& a, const RopeConfig& b) {
  return a.type == b.type && same(a.theta, b.theta) &&
         same(a.factor, b.factor) &&
         same(a.low_freq_factor, b.low_freq_factor) &&
         same(a.high_freq_factor, b.high_freq_factor) &&
         a.original_positions == b.original_positions &&
         same(a.attention_factor, b.attention_factor) &&
         same(a.beta_fast, b.beta_fast) && same(a.beta_slow, b.beta_slow) &&
         a.truncate == b.truncate && same(a.factors, b.factors) &&
         same(a.long_factors, b.long_factors);
}

// By what llama3's rope divides each frequency: a table as GGUF files have it.
std::vector<double> llama3_factors(const RopeConfig& rope, int64_t dimensions) {
  std::vector<double> factors;
  const auto original = double(rope.original_positions);
  for (int64_t i = 0; i < dimensions / 2; ++i) {
    const double wavelength =
        2.0 * std::numbers::pi *
        std::pow(rope.theta, 2.0 * double(i) / double(dimensions));
    const double smooth =
        std::clamp((original / wavelength - rope.low_freq_factor) /
                       (rope.high_freq_factor - rope.low_freq_factor),
                   0.0, 1.0);
    factors.push_back(1.0 / ((1.0 - smooth) / rope.factor + smooth));
  }
  return factors;
}

// The number of layers after which the windows begin again; 0: no such.
int64_t window_period(const ModelConfig& config) {
  for (int64_t period = 1; period <= config.num_layers; ++period) {
    bool fits = true;
    for (int64_t i = 0; i < config.num_layers; ++i) {
      fits = fits && (config.window_of(i) != 0) == ((i + 1) % period != 0);
    }
    if (fits) return period;
  }
  return 0;
}

int64_t widest_window(const ModelConfig& config) {
  return config.windows.empty()
             ? 0
             : *std::max_element(config.windows.begin(), config.windows.end());
}

}  // namespace

ModelConfig gguf_config(ModelConfig config, const GgufForm& form,
                        const std::string& where) {
  config.notes.clear();
  if (config.norm == NormKind::kRmsPlusOne) config.norm = NormKind::kRms;
  if (!config.windows.empty() && !form.has_key("attention.sliding_window")) {
    for (const int64_t window : config.windows) {
      if (window != 0) {
        config.max_positions = std::min(config.max_positions, window);
      }
    }
    config.windows.clear();
  }
  RopeConfig& rope = config.rope;
  if (rope.type == "llama3") {
    RopeConfig table;
    table.theta = rope.theta;
    table.type = "factors";
    table.factors = llama3_factors(rope, config.rotary_dim);
    rope = std::move(table);
  }
  const bool takes_tables = form.has_key("rope.scaling.attn_factor");
  if (rope.type != "none" && rope.type != "linear" && rope.type != "factors" &&
      !(rope.type == "longrope" && takes_tables)) {
    fail(where,
         str("the rope type ", rope.type,
             " has no place in a GGUF file of architecture ", form.architecture,
             " that this program reads; export with --model merged"));
  }
  return config;
}

void put_gguf_config(const ModelConfig& c, const GgufForm& form,
                     GgufEntries& out) {
  const std::string prefix = form.architecture + ".";
  const auto count = [&](const char* key, int64_t value) {
    out.set(prefix + key, static_cast<uint32_t>(value));
  };
  const auto number = [&](const char* key, double value) {
    out.set(prefix + key, static_cast<float>(value));
  };
  count("block_count", c.num_layers);
  count("context_length", c.max_positions);
  count("embedding_length", c.hidden_size);
  count("feed_forward_length", c.intermediate_size);
  count("vocab_size", c.vocab_size);
  count("attention.head_count", c.num_heads);
  count("attention.head_count_kv", c.num_kv_heads);
  count("attention.key_length", c.head_dim);
  count("attention.value_length", c.head_dim);
  number(c.norm == NormKind::kLayer ? "attention.layer_norm_epsilon"
                                    : "attention.layer_norm_rms_epsilon",
         c.norm_eps);
  count("rope.dimension_count", c.rotary_dim);
  number("rope.freq_base", c.rope.theta);
  if (c.rope.type == "linear") {
    out.set(prefix + "rope.scaling.type", "linear");
    number("rope.scaling.factor", c.rope.factor);
  } else if (c.rope.type == "longrope") {
    count("rope.scaling.original_context_length", c.rope.original_positions);
    number("rope.scaling.attn_factor", c.rope.attention_factor);
  }
  // Of their own.
  const auto takes = [&](const char* key) { return form.has_key(key); };
  if (takes("attention.sliding_window") && !c.windows.empty()) {
    count("attention.sliding_window", widest_window(c));
    if (takes("attention.sliding_window_pattern")) {
      count("attention.sliding_window_pattern", window_period(c));
    }
  }
  if (takes("rope.freq_base_swa")) {
    number("rope.freq_base_swa", c.local_rope.theta);
  }
  if (takes("attn_logit_softcapping")) {
    number("attn_logit_softcapping", c.attention_softcap);
    number("final_logit_softcapping", c.logit_softcap);
  }
  if (takes("use_parallel_residual")) {
    out.set(prefix + "use_parallel_residual",
            c.block == BlockForm::kParallel ||
                c.block == BlockForm::kParallelOneNorm);
  }
  if (takes("residual_scale")) {
    number("attention.scale", c.attention_scale);
    number("embedding_scale", c.embedding_scale);
    number("residual_scale", c.residual_scale);
    number("logit_scale", 1.0 / c.logit_scale);
  }
}

std::vector<std::pair<std::string, std::vector<float>>> gguf_tables(
    const ModelConfig& config) {
  std::vector<std::pair<std::string, std::vector<float>>> tables;
  const RopeConfig& rope = config.rope;
  const auto add = [&](const char* name, const std::vector<double>& values) {
    tables.emplace_back(name, std::vector<float>(values.begin(), values.end()));
  };
  if (rope.type == "factors") add("rope_freqs.weight", rope.factors);
  if (rope.type == "longrope") {
    add("rope_factors_long.weight", rope.long_factors);
    add("rope_factors_short.weight", rope.factors);
  }
  return tables;
}

void require_same_config(const ModelConfig& read, const ModelConfig& meant,
                         const std::string& where) {
  const auto require = [&](const char* member, bool is_same) {
    if (is_same) return;
    fail(where, str("the model's ", member,
                    " cannot be said in a file of this form for a model of "
                    "type ",
                    meant.family, "; export it in another form"));
  };
  const auto& r = read;
  const auto& m = meant;
  require("number of layers", r.num_layers == m.num_layers);
  require("width", r.hidden_size == m.hidden_size);
  require("heads", r.num_heads == m.num_heads &&
                       r.num_kv_heads == m.num_kv_heads &&
                       r.head_dim == m.head_dim);
  require("MLP width", r.intermediate_size == m.intermediate_size);
  require("vocabulary size", r.vocab_size == m.vocab_size);
  require("positions", r.max_positions == m.max_positions);
  require("norm epsilon", same(r.norm_eps, m.norm_eps));
  require("tied embedding", r.tied_embeddings == m.tied_embeddings);
  require("kind of norm", r.norm == m.norm && r.norm_bias == m.norm_bias);
  require("form of block", r.block == m.block);
  require("norm of queries and keys", r.qk_norm == m.qk_norm);
  require("biases", r.qkv_bias == m.qkv_bias && r.o_bias == m.o_bias &&
                        r.mlp_bias == m.mlp_bias);
  require("activation", r.activation == m.activation && r.gated == m.gated);
  require("rotated dimensions", r.rotary_dim == m.rotary_dim);
  require("rope", same(r.rope, m.rope) && same(r.local_rope, m.local_rope));
  require("windows", r.windows == m.windows);
  require("layers without rope", r.without_rope == m.without_rope);
  require("scales", same(r.embedding_scale, m.embedding_scale) &&
                        same(r.score_scale(), m.score_scale()) &&
                        same(r.residual_scale, m.residual_scale) &&
                        same(r.logit_scale, m.logit_scale));
  require("soft caps", same(r.attention_softcap, m.attention_softcap) &&
                           same(r.logit_softcap, m.logit_softcap));
}

}  // namespace selfalign::formats
