// SPDX-License-Identifier: Apache-2.0
// config.json of a model that came from a GGUF file.
#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "base/error.h"
#include "formats/config_out.h"

namespace selfalign::formats {
namespace {

// The shortest text of a float32 where the number is one: what a GGUF file has
// of 1e-5 is 9.99999974e-06. Whole numbers keep their point.
Json shortest(double number) {
  std::array<char, 64> text{};
  const bool is_float = double(float(number)) == number;
  const auto end = is_float
                       ? std::to_chars(text.begin(), text.end(), float(number))
                       : std::to_chars(text.begin(), text.end(), number);
  std::string out(text.begin(), end.ptr);
  if (out.find_first_of(".en") == std::string::npos) out += ".0";
  return parse_json(out, "number");
}

Json shortest(const std::vector<double>& numbers) {
  Json list = Json::array();
  for (const double number : numbers) list.push_back(shortest(number));
  return list;
}

const char* activation_name(Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return "silu";
    case Activation::kGelu:
      return "gelu";
    case Activation::kGeluTanh:
      return "gelu_pytorch_tanh";
    case Activation::kReluSquared:
      return "relu2";
  }
  return "";
}

// llama3's words for a table of rope factors, as all its models have them but
// for the factor, which is the table's largest; or null.
Json llama3_of(const ModelConfig& c) {
  if (c.rope.type != "factors" || c.rope.factors.empty()) return nullptr;
  RopeConfig rope;
  rope.theta = c.rope.theta;
  rope.type = "llama3";
  rope.factor = *std::max_element(c.rope.factors.begin(), c.rope.factors.end());
  rope.original_positions = 8192;
  ModelConfig made = c;
  made.rope = rope;
  const ModelConfig table = gguf_config(made, GgufForm{}, "");
  const bool is_it =
      std::equal(table.rope.factors.begin(), table.rope.factors.end(),
                 c.rope.factors.begin(), c.rope.factors.end(),
                 [](double a, double b) { return float(a) == float(b); });
  if (!is_it) return nullptr;
  return {{"rope_type", "llama3"},
          {"factor", shortest(rope.factor)},
          {"low_freq_factor", shortest(rope.low_freq_factor)},
          {"high_freq_factor", shortest(rope.high_freq_factor)},
          {"original_max_position_embeddings", rope.original_positions}};
}

void put_rope(const ModelConfig& c, Json& json) {
  const bool is_neox = c.family == "gpt_neox";
  json[is_neox ? "rotary_emb_base" : "rope_theta"] = shortest(c.rope.theta);
  json["rope_scaling"] = nullptr;
  if (c.rope.type == "linear") {
    json["rope_scaling"] = {{"rope_type", "linear"},
                            {"factor", shortest(c.rope.factor)}};
  } else if (c.rope.type == "yarn") {
    json["rope_scaling"] = {
        {"rope_type", "yarn"},
        {"factor", shortest(c.rope.factor)},
        {"original_max_position_embeddings", c.rope.original_positions},
        {"beta_fast", shortest(c.rope.beta_fast)},
        {"beta_slow", shortest(c.rope.beta_slow)},
        {"attention_factor", shortest(c.rope.attention_factor)}};
  } else if (c.rope.type == "longrope") {
    json["rope_scaling"] = {
        {"type", "longrope"},
        {"short_factor", shortest(c.rope.factors)},
        {"long_factor", shortest(c.rope.long_factors)},
        {"attention_factor", shortest(c.rope.attention_factor)}};
    json["original_max_position_embeddings"] = c.rope.original_positions;
  } else if (c.rope.type == "factors") {
    json["rope_scaling"] = llama3_of(c);
  }
  if (c.rotary_dim != c.head_dim || is_neox || c.family == "stablelm") {
    json[is_neox ? "rotary_pct" : "partial_rotary_factor"] =
        double(c.rotary_dim) / double(c.head_dim);
  }
}

void put_layer_norm(const char* eps, const ModelConfig& c, Json& json) {
  json[eps] = shortest(c.norm_eps);
}

void put_llama(const ModelConfig& c, Json& json) {
  json["rms_norm_eps"] = shortest(c.norm_eps);
  json["attention_bias"] = c.qkv_bias;
  json["mlp_bias"] = c.mlp_bias;
}
void put_qwen2(const ModelConfig& c, Json& json) {
  json["rms_norm_eps"] = shortest(c.norm_eps);
  json["use_sliding_window"] = false;
}
void put_qwen3(const ModelConfig& c, Json& json) {
  put_qwen2(c, json);
  json["attention_bias"] = c.qkv_bias;
}
void put_olmo2(const ModelConfig& c, Json& json) {
  json["rms_norm_eps"] = shortest(c.norm_eps);
  json["attention_bias"] = c.qkv_bias;
}
void put_smollm3(const ModelConfig& c, Json& json) {
  put_llama(c, json);
  json["use_sliding_window"] = false;
  json["no_rope_layers"] = Json::array();
  for (const bool without : c.without_rope) {
    json["no_rope_layers"].push_back(without ? 0 : 1);
  }
}
void put_granite(const ModelConfig& c, Json& json) {
  put_llama(c, json);
  json["embedding_multiplier"] = shortest(c.embedding_scale);
  json["attention_multiplier"] = shortest(c.score_scale());
  json["residual_multiplier"] = shortest(c.residual_scale);
  json["logits_scaling"] = shortest(double(float(1.0 / c.logit_scale)));
}
void put_neox(const ModelConfig& c, Json& json) {
  put_layer_norm("layer_norm_eps", c, json);
  json["use_parallel_residual"] = c.block == BlockForm::kParallel;
  json["attention_bias"] = c.qkv_bias;
}
void put_starcoder2(const ModelConfig& c, Json& json) {
  put_layer_norm("norm_epsilon", c, json);
  json["use_bias"] = c.qkv_bias;
  json["sliding_window"] =
      c.windows.empty() ? Json(nullptr) : Json(c.windows[0]);
}
void put_stablelm(const ModelConfig& c, Json& json) {
  put_layer_norm("layer_norm_eps", c, json);
  json["use_qkv_bias"] = c.qkv_bias;
  json["qk_layernorm"] = c.qk_norm == QkNorm::kEachHead;
  json["use_parallel_residual"] = c.block == BlockForm::kParallelOneNorm;
}
void put_phi3(const ModelConfig& c, Json& json) {
  json["rms_norm_eps"] = shortest(c.norm_eps);
  json["sliding_window"] =
      c.windows.empty() ? Json(nullptr) : Json(c.windows[0]);
}

struct Words {
  const char* family;
  const char* architecture;
  void (*put)(const ModelConfig& config, Json& json);
};
constexpr Words kWords[] = {
    {"llama", "LlamaForCausalLM", put_llama},
    {"arcee", "ArceeForCausalLM", put_llama},
    {"qwen2", "Qwen2ForCausalLM", put_qwen2},
    {"qwen3", "Qwen3ForCausalLM", put_qwen3},
    {"olmo2", "Olmo2ForCausalLM", put_olmo2},
    {"smollm3", "SmolLM3ForCausalLM", put_smollm3},
    {"granite", "GraniteForCausalLM", put_granite},
    {"gpt_neox", "GPTNeoXForCausalLM", put_neox},
    {"starcoder2", "Starcoder2ForCausalLM", put_starcoder2},
    {"stablelm", "StableLmForCausalLM", put_stablelm},
    {"phi3", "Phi3ForCausalLM", put_phi3},
};

}  // namespace

Json config_to_json(const ModelConfig& c, const std::string& where) {
  const auto* words =
      std::find_if(std::begin(kWords), std::end(kWords),
                   [&](const Words& one) { return c.family == one.family; });
  if (words == std::end(kWords)) {
    throw Error(ErrorKind::kInput,
                str(where, ": a GGUF file of a model of type ", c.family,
                    " cannot be written as an HF folder; take the model's own "
                    "HF folder for the base, or export with --model gguf"));
  }
  Json json{{"architectures", {words->architecture}},
            {"model_type", c.family},
            {"hidden_size", c.hidden_size},
            {"intermediate_size", c.intermediate_size},
            {"num_hidden_layers", c.num_layers},
            {"num_attention_heads", c.num_heads},
            {"num_key_value_heads", c.num_kv_heads},
            {"head_dim", c.head_dim},
            {"vocab_size", c.vocab_size},
            {"max_position_embeddings", c.max_positions},
            {"hidden_act", activation_name(c.activation)},
            {"tie_word_embeddings", c.tied_embeddings},
            {"initializer_range", 0.02},
            {"use_cache", true}};
  // These have it from width and heads alone.
  if (c.family == "gpt_neox") {
    json.erase("head_dim");
    json.erase("num_key_value_heads");
  }
  put_rope(c, json);
  words->put(c, json);
  // A table that llama3's words give is read as llama3's rope.
  ModelConfig read = config_from_json(json, where);
  if (c.rope.type == "factors") read = gguf_config(read, GgufForm{}, where);
  require_same_config(read, c, where);
  return json;
}

}  // namespace selfalign::formats
