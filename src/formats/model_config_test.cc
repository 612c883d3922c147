// SPDX-License-Identifier: Apache-2.0
#include "formats/model_config.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <iostream>

#include "base/file.h"
#include "formats/gguf.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

using testing::HasSubstr;

Json llama_json() {
  return parse_json(R"({"architectures": ["LlamaForCausalLM"],
    "model_type": "llama", "hidden_act": "silu", "hidden_size": 64,
    "intermediate_size": 96, "max_position_embeddings": 512,
    "num_attention_heads": 4, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000,
    "rope_scaling": null, "tie_word_embeddings": true, "vocab_size": 256})",
                    "test");
}

// The error of the configuration with `patch` merged into it.
std::string refusal(const char* patch) {
  Json json = llama_json();
  json.merge_patch(parse_json(patch, "patch"));
  return error_of([&] { config_from_json(json, "config.json"); });
}

ModelConfig patched(const char* patch) {
  Json json = llama_json();
  json.merge_patch(parse_json(patch, "patch"));
  return config_from_json(json, "config.json");
}

TEST(ConfigFromJson, ReadsALlama) {
  const ModelConfig config = config_from_json(llama_json(), "config.json");
  EXPECT_EQ(config.num_layers, 2);
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.num_heads, 4);
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.intermediate_size, 96);
  EXPECT_EQ(config.vocab_size, 256);
  EXPECT_EQ(config.max_positions, 512);
  EXPECT_EQ(config.norm_eps, 1e-5);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_EQ(config.rope.type, "none");
}

TEST(ConfigFromJson, ReadsWhatMayBeThere) {
  EXPECT_EQ(patched(R"({"head_dim": 32})").head_dim, 32);
  EXPECT_EQ(patched(R"({"head_dim": null})").head_dim, 16);
  EXPECT_EQ(patched(R"({"num_key_value_heads": null})").num_kv_heads, 4);
  EXPECT_TRUE(patched(R"({"attention_bias": true})").qkv_bias);
  EXPECT_FALSE(patched(R"({"tie_word_embeddings": null})").tied_embeddings);
}

TEST(ConfigFromJson, ReadsRopeOldAndNew) {
  EXPECT_EQ(patched(R"({"rope_theta": null, "rope_parameters":
      {"rope_theta": 5e5, "rope_type": "default"}})")
                .rope.theta,
            5e5);
  const ModelConfig linear =
      patched(R"({"rope_scaling": {"type": "linear", "factor": 4}})");
  EXPECT_EQ(linear.rope.type, "linear");
  EXPECT_EQ(linear.rope.factor, 4.0);
  const ModelConfig llama3 = patched(R"({"rope_scaling": {
      "rope_type": "llama3", "factor": 32, "low_freq_factor": 1,
      "high_freq_factor": 4, "original_max_position_embeddings": 8192}})");
  EXPECT_EQ(llama3.rope.type, "llama3");
  EXPECT_EQ(llama3.rope.factor, 32.0);
  EXPECT_EQ(llama3.rope.low_freq_factor, 1.0);
  EXPECT_EQ(llama3.rope.high_freq_factor, 4.0);
  EXPECT_EQ(llama3.rope.original_positions, 8192);
}

TEST(ConfigFromJson, RefusesRopesItDoesNotKnow) {
  EXPECT_THAT(refusal(R"({"rope_theta": null})"),
              HasSubstr("config.json: rope_theta: expected a number"));
  EXPECT_THAT(refusal(R"({"rope_theta": 0})"), HasSubstr("above 0"));
  EXPECT_THAT(refusal(R"({"rope_parameters": {"rope_theta": 5}})"),
              HasSubstr("twice with different values"));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "yarn", "factor": 2}})"),
              HasSubstr("expected default, linear or llama3, found \"yarn\""));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"factor": 2}})"),
              HasSubstr("found \"\""));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "linear", "factor": 2,
                          "attention_factor": 2}})"),
              HasSubstr("member attention_factor is not known"));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "linear", "factor": 2},
                          "rope_parameters": {"rope_type": "default"}})"),
              HasSubstr("contradict"));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "linear"}})"),
              HasSubstr("'factor'"));
  EXPECT_THAT(refusal(R"({"rope_scaling": 2})"), HasSubstr("an object"));
}

TEST(ConfigFromJson, RefusesOtherModels) {
  EXPECT_THAT(refusal(R"({"architectures": ["MistralForCausalLM"],
                          "model_type": "mistral"})"),
              HasSubstr("expected architecture LlamaForCausalLM (model_type "
                        "llama), found MistralForCausalLM"));
  EXPECT_THAT(refusal(R"({"architectures": ["LlamaModel"]})"),
              HasSubstr("found LlamaModel"));
  EXPECT_THAT(refusal(R"({"model_type": null})"), HasSubstr("model_type"));
  EXPECT_THAT(refusal(R"({"hidden_act": "gelu"})"), HasSubstr("found gelu"));
  EXPECT_THAT(refusal(R"({"mlp_bias": true})"), HasSubstr("mlp_bias"));
  EXPECT_THAT(refusal(R"({"quantization_config": {}})"),
              HasSubstr("expected float weights"));
  EXPECT_THAT(refusal(R"({"partial_rotary_factor": 0.5})"),
              HasSubstr("partial_rotary_factor"));
}

TEST(ConfigFromJson, RefusesImpossibleSizes) {
  EXPECT_THAT(refusal(R"({"num_hidden_layers": 0})"),
              HasSubstr("layers: expected 1 to 1024, found 0"));
  EXPECT_THAT(refusal(R"({"vocab_size": 99999999999})"), HasSubstr("vocab"));
  EXPECT_THAT(refusal(R"({"num_attention_heads": 5})"), HasSubstr("divisor"));
  EXPECT_THAT(refusal(R"({"num_attention_heads": 0})"), HasSubstr("divisor"));
  EXPECT_THAT(refusal(R"({"num_key_value_heads": 3})"), HasSubstr("divisor"));
  EXPECT_THAT(refusal(R"({"head_dim": 3})"), HasSubstr("even"));
  EXPECT_THAT(refusal(R"({"rms_norm_eps": -1})"), HasSubstr("epsilon"));
  EXPECT_THAT(refusal(R"({"hidden_size": 64.5})"), HasSubstr("hidden_size"));
}

std::shared_ptr<const GgufFile> open(const GgufBuilder& file) {
  return GgufFile::open(test_file("config.gguf", file.bytes()));
}

template <typename Edit>
std::string gguf_refusal(Edit edit) {
  GgufBuilder b = tiny_llama_gguf();
  edit(b);
  return error_of([&] {
    const auto file = open(b);
    config_from_gguf(*file);
    open_gguf_tensors(file);
  });
}

TEST(ConfigFromGguf, ReadsALlama) {
  const auto file = open(tiny_llama_gguf());
  const ModelConfig config = config_from_gguf(*file);
  EXPECT_EQ(config.num_layers, 1);
  EXPECT_EQ(config.hidden_size, 4);
  EXPECT_EQ(config.num_heads, 2);
  EXPECT_EQ(config.num_kv_heads, 1);
  EXPECT_EQ(config.head_dim, 2);
  EXPECT_EQ(config.intermediate_size, 6);
  EXPECT_EQ(config.vocab_size, 3);
  EXPECT_EQ(config.max_positions, 16);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ(config.rope.theta, 1e4);
  const auto tensors = open_gguf_tensors(file);
  EXPECT_TRUE(tensors->interleaved_rope_rows());
  EXPECT_EQ(tensors->tensors().size(), 11u);
  const TensorView* k = tensors->find("model.layers.0.self_attn.k_proj.weight");
  ASSERT_NE(k, nullptr);
  EXPECT_THAT(k->shape, testing::ElementsAre(2, 4));
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight",
                           "model.layers.0.post_attention_layernorm.weight",
                           "model.layers.0.self_attn.o_proj.weight",
                           "model.layers.0.mlp.down_proj.weight"}) {
    EXPECT_NE(tensors->find(name), nullptr) << name;
  }
  EXPECT_EQ(tensors->find("lm_head.weight"), nullptr);
}

TEST(ConfigFromGguf, ReadsUntiedOutputAndLinearRope) {
  GgufBuilder b = tiny_llama_gguf();
  b.tensor("output.weight", 0, {4, 3}, std::string(48, '\0'));
  b.text("llama.rope.scaling.type", "linear");
  b.real("llama.rope.scaling.factor", 2.0f);
  const auto file = open(b);
  const ModelConfig config = config_from_gguf(*file);
  EXPECT_FALSE(config.tied_embeddings);
  EXPECT_NE(open_gguf_tensors(file)->find("lm_head.weight"), nullptr);
  EXPECT_EQ(config.rope.type, "linear");
  EXPECT_EQ(config.rope.factor, 2.0);
}

TEST(ConfigFromGguf, RefusesWhatItDoesNotKnow) {
  const auto with_text = [](const char* key, const char* text) {
    return gguf_refusal([&](GgufBuilder& b) { b.text(key, text); });
  };
  const auto with_number = [](const char* key, uint32_t number) {
    return gguf_refusal([&](GgufBuilder& b) { b.number(key, number); });
  };
  EXPECT_THAT(with_text("llama.rope.scaling.type", "yarn"),
              HasSubstr("found \"yarn\""));
  EXPECT_THAT(with_number("llama.rope.scaling.yarn_beta", 1),
              HasSubstr("this kind of rope is not known"));
  EXPECT_THAT(with_number("llama.rope.scaling.factor", 2),
              HasSubstr("without llama.rope.scaling.type"));
  EXPECT_THAT(with_number("llama.rope.dimension_count", 1),
              HasSubstr("the whole head of 2, found 1"));
  EXPECT_THAT(with_number("llama.expert_count", 8),
              HasSubstr("llama.expert_count"));
  EXPECT_EQ(with_number("llama.expert_count", 0), "no error");
  EXPECT_THAT(with_number("llama.attention.value_length", 4),
              HasSubstr("expected the keys' 2, found 4"));
  EXPECT_THAT(with_number("llama.vocab_size", 4), HasSubstr("the 3 rows"));
  const auto with_tensor = [](const char* name) {
    return gguf_refusal(
        [&](GgufBuilder& b) { b.tensor(name, 0, {1}, raw(1.0f)); });
  };
  EXPECT_THAT(with_tensor("rope_freqs.weight"), HasSubstr("HF folder"));
  EXPECT_THAT(with_tensor("blk.0.ffn_gate_inp.weight"),
              HasSubstr("tensor blk.0.ffn_gate_inp.weight: expected"));
  EXPECT_THAT(with_tensor("blk.00.attn_q.weight"), HasSubstr("blk.00"));
  EXPECT_THAT(with_tensor("blk..attn_q.weight"), HasSubstr("blk.."));
}

TEST(ConfigFromGguf, NeedsRopeThetaAndArchitecture) {
  GgufBuilder other;
  other.text("general.architecture", "qwen2");
  EXPECT_THAT(error_of([&] { config_from_gguf(*open(other)); }),
              HasSubstr("expected architecture \"llama\", found \"qwen2\""));
  std::string bytes = tiny_llama_gguf().bytes();
  const std::string key = "llama.rope.freq_base";
  bytes[bytes.find(key) + key.size() - 1] = 'X';
  EXPECT_THAT(error_of([&] {
                config_from_gguf(*GgufFile::open(test_file("x", bytes)));
              }),
              HasSubstr("this kind of rope is not known"));
  const std::string gone = "general.rope.something";
  bytes.replace(bytes.find("llama.rope.freq_basX"), key.size(),
                gone.substr(0, key.size()));
  EXPECT_THAT(error_of([&] {
                config_from_gguf(*GgufFile::open(test_file("x", bytes)));
              }),
              HasSubstr("llama.rope.freq_base: expected a number, found noth"));
}

TEST(ConfigFromGguf, ReadsTheBaseModel) {
  const char* path = ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    std::cout << "SKIPPED ALOUD: " << path << " is not there; ./dev test "
              << "fetches it\n";
    GTEST_SKIP();
  }
  const ModelConfig config = config_from_gguf(*GgufFile::open(path));
  EXPECT_EQ(config.num_layers, 30);
  EXPECT_EQ(config.hidden_size, 576);
  EXPECT_EQ(config.num_heads, 9);
  EXPECT_EQ(config.num_kv_heads, 3);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.intermediate_size, 1536);
  EXPECT_EQ(config.vocab_size, 49152);
  EXPECT_EQ(config.max_positions, 8192);
  EXPECT_EQ(config.rope.theta, 100000.0);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_FALSE(config.qkv_bias);
}

}  // namespace
}  // namespace selfalign::formats
