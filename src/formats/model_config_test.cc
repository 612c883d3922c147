// SPDX-License-Identifier: Apache-2.0
#include "formats/model_config.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <iostream>

#include "base/file.h"
#include "formats/gguf.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

using testing::HasSubstr;
using testing::Not;

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
  return refusal_of([&] { config_from_json(json, "config.json"); });
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

// As the first LLaMA's files: what it was trained with, and a line that says
// so.
TEST(ConfigFromJson, AMissingThetaIsTheFamilysOwn) {
  const ModelConfig config = patched(R"({"rope_theta": null})");
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_THAT(config.notes,
              testing::ElementsAre("config.json: no rope_theta; using 10000, "
                                   "the default of llama"));
  EXPECT_THAT(patched("{}").notes, testing::IsEmpty());
}

TEST(ConfigFromJson, OldAndNewSpellingsThatAgreeAreNoContradiction) {
  const ModelConfig config = patched(R"({
      "rope_parameters": {"rope_type": "default", "rope_theta": 10000},
      "rope_scaling": {"rope_type": "default"}})");
  EXPECT_EQ(config.rope, patched("{}").rope);
  // Of the length a model was first trained at nothing follows here.
  EXPECT_EQ(patched(R"({"rope_scaling": {"rope_type": "default",
                        "original_max_position_embeddings": 64}})")
                .rope,
            patched("{}").rope);
  EXPECT_EQ(patched(R"({"rope_scaling": {"type": "linear", "factor": 2},
                        "rope_parameters": {"rope_type": "linear",
                                            "factor": 2.0,
                                            "rope_theta": 1e4}})")
                .rope.factor,
            2.0);
}

TEST(ConfigFromJson, RefusesRopesItDoesNotKnow) {
  EXPECT_THAT(refusal(R"({"rope_theta": 0})"), HasSubstr("above 0"));
  EXPECT_THAT(refusal(R"({"rope_parameters": {"rope_theta": 5}})"),
              HasSubstr("twice with different values, 10000 and 5"));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "ntk", "factor": 2}})"),
              HasSubstr("longrope or llama3, found \"ntk\""));
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
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "yarn", "factor": 2,
                          "beta_fast": 1, "beta_slow": 2}})"),
              HasSubstr("beta_slow up to beta_fast"));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "longrope",
                          "short_factor": [1], "long_factor": [1]}})"),
              HasSubstr("rope short_factor: expected 8 numbers"));
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "longrope",
                          "short_factor": 1, "long_factor": [1]}})"),
              HasSubstr("short_factor: expected a list, found 1"));
}

TEST(ConfigFromJson, RefusesOtherModels) {
  EXPECT_THAT(refusal(R"({"architectures": ["MixtralForCausalLM"],
                          "model_type": "mixtral"})"),
              HasSubstr("architecture MixtralForCausalLM (model_type mixtral) "
                        "is not supported; this program runs LlamaForCausalLM, "
                        "MistralForCausalLM"));
  EXPECT_THAT(refusal(R"({"architectures": ["LlamaModel"]})"),
              HasSubstr("architecture LlamaModel"));
  EXPECT_THAT(refusal(R"({"model_type": null})"), HasSubstr("model_type"));
  EXPECT_THAT(refusal(R"({"hidden_act": "tanh"})"), HasSubstr("found tanh"));
  EXPECT_THAT(refusal(R"({"quantization_config": {}})"),
              HasSubstr("expected float weights"));
  EXPECT_THAT(refusal(R"({"partial_rotary_factor": 0.5})"),
              HasSubstr("partial_rotary_factor"));
}

// Each family's own members, as its files have them; that the rest is right is
// shown by tests/golden/families_test.cc.
TEST(ConfigFromJson, ReadsOtherFamilies) {
  const ModelConfig mistral = patched(R"({"model_type": "mistral",
      "architectures": null, "sliding_window": 7})");
  EXPECT_THAT(mistral.windows, testing::ElementsAre(7, 7));
  EXPECT_THAT(
      patched(R"({"model_type": "mistral", "architectures": null})").windows,
      testing::ElementsAre(4096, 4096));
  Json json = llama_json();
  json["model_type"] = "mistral";
  json["architectures"] = Json::array({"MistralForCausalLM"});
  json["sliding_window"] = nullptr;
  EXPECT_THAT(config_from_json(json, "x").windows, testing::IsEmpty());

  const ModelConfig gemma = patched(R"({"model_type": "gemma2",
      "architectures": null, "tie_word_embeddings": null,
      "query_pre_attn_scalar": 16, "sliding_window": 8})");
  EXPECT_TRUE(gemma.tied_embeddings);
  EXPECT_EQ(gemma.embedding_scale, 8.0);
  EXPECT_EQ(gemma.attention_scale, 0.25);
  EXPECT_EQ(gemma.attention_softcap, 50.0);
  EXPECT_EQ(gemma.logit_softcap, 30.0);
  EXPECT_THAT(gemma.windows, testing::ElementsAre(8, 0));

  const ModelConfig neox = patched(R"({"model_type": "gpt_neox",
      "architectures": null, "hidden_act": "gelu", "rope_theta": null,
      "rotary_emb_base": 500, "rotary_pct": 0.5, "layer_norm_eps": 1e-6})");
  EXPECT_EQ(neox.rotary_dim, 8);
  EXPECT_EQ(neox.rope.theta, 500.0);
  EXPECT_EQ(neox.norm_eps, 1e-6);
}

TEST(ConfigFromJson, RefusesWhatAFamilyCannotHave) {
  EXPECT_THAT(refusal(R"({"model_type": "gemma", "architectures": null,
                          "use_bidirectional_attention": true})"),
              HasSubstr("use_bidirectional_attention"));
  EXPECT_THAT(refusal(R"({"model_type": "olmo3", "architectures": null,
                          "layer_types": ["full_attention", "linear"]})"),
              HasSubstr("found \"linear\""));
  EXPECT_THAT(refusal(R"({"model_type": "olmo3", "architectures": null,
                          "layer_types": ["full_attention"]})"),
              HasSubstr("one for each of the 2 layers, found 1"));
  EXPECT_THAT(refusal(R"({"model_type": "mistral", "architectures": null,
                          "sliding_window": -1})"),
              HasSubstr("window"));
  EXPECT_THAT(refusal(R"({"model_type": "granite", "architectures": null,
                          "logits_scaling": 0})"),
              HasSubstr("logit scale"));
  EXPECT_THAT(refusal(R"({"model_type": "gemma2", "architectures": null,
                          "query_pre_attn_scalar": -1})"),
              HasSubstr("attention scale"));
  EXPECT_THAT(refusal(R"({"model_type": "stablelm", "architectures": null,
                          "partial_rotary_factor": 0.01})"),
              HasSubstr("rotated dimensions"));
  EXPECT_THAT(refusal(R"({"model_type": "stablelm", "architectures": null,
                          "partial_rotary_factor": 0.5, "rope_parameters":
                          {"partial_rotary_factor": 0.25}})"),
              HasSubstr("twice with different values, 0.5 and 0.25"));
  EXPECT_THAT(refusal(R"({"model_type": "granite", "architectures": null,
                          "attention_multiplier": 0})"),
              HasSubstr("attention scale"));
  EXPECT_THAT(refusal(R"({"model_type": "gemma2", "architectures": null,
                          "final_logit_softcapping": 1e300})"),
              HasSubstr("within float32"));
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
  return refusal_of([&] {
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

// As llama.cpp's converter writes it (tools/compare_gguf.py holds the rest).
TEST(ConfigFromGguf, ReadsYarn) {
  GgufBuilder b = tiny_llama_gguf();
  b.text("llama.rope.scaling.type", "yarn");
  b.real("llama.rope.scaling.factor", 4.0f);
  b.number("llama.rope.scaling.original_context_length", 2);
  b.real("llama.rope.scaling.yarn_beta_slow", 2.0f);
  const ModelConfig config = config_from_gguf(*open(b));
  EXPECT_EQ(config.rope.type, "yarn");
  EXPECT_EQ(config.rope.factor, 4.0);
  EXPECT_EQ(config.rope.original_positions, 2);
  EXPECT_EQ(config.rope.beta_fast, 32.0);
  EXPECT_EQ(config.rope.beta_slow, 2.0);
  EXPECT_NEAR(config.rope.attention_factor, 1.0 + 0.1 * std::log(4.0), 1e-12);
}

TEST(ConfigFromGguf, RefusesWhatItDoesNotKnow) {
  const auto with_text = [](const char* key, const char* text) {
    return gguf_refusal([&](GgufBuilder& b) { b.text(key, text); });
  };
  const auto with_number = [](const char* key, uint32_t number) {
    return gguf_refusal([&](GgufBuilder& b) { b.number(key, number); });
  };
  EXPECT_THAT(with_text("llama.rope.scaling.type", "dynamic"),
              HasSubstr("found \"dynamic\""));
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
  EXPECT_THAT(with_tensor("rope_factors_long.weight"),
              HasSubstr("this model has no place for it"));
  EXPECT_THAT(with_text("llama.rope.scaling.type", "longrope"),
              HasSubstr("longrope has no tables"));
  // On one line, whatever it is called.
  EXPECT_THAT(with_tensor("a\nerror: b"), Not(HasSubstr("\n")));
  EXPECT_THAT(with_tensor("blk.0.ffn_gate_inp.weight"),
              HasSubstr("tensor blk.0.ffn_gate_inp.weight: a model of "
                        "architecture llama has no place for it"));
  EXPECT_THAT(with_tensor("blk.00.attn_q.weight"), HasSubstr("blk.00"));
  EXPECT_THAT(with_tensor("blk..attn_q.weight"), HasSubstr("blk.."));
}

TEST(ConfigFromGguf, AMissingThetaIsTheDefaultAndAnArchitectureMustBeKnown) {
  GgufBuilder other;
  other.text("general.architecture", "bert");
  EXPECT_THAT(refusal_of([&] { config_from_gguf(*open(other)); }),
              HasSubstr("architecture \"bert\" is not supported; this program "
                        "runs llama, qwen2, "));
  std::string bytes = tiny_llama_gguf().bytes();
  const std::string key = "llama.rope.freq_base";
  bytes[bytes.find(key) + key.size() - 1] = 'X';
  EXPECT_THAT(refusal_of([&] {
                config_from_gguf(*GgufFile::open(test_file("x", bytes)));
              }),
              HasSubstr("this kind of rope is not known"));
  const std::string gone = "general.rope.something";
  bytes.replace(bytes.find("llama.rope.freq_basX"), key.size(),
                gone.substr(0, key.size()));
  const ModelConfig config =
      config_from_gguf(*GgufFile::open(test_file("x", bytes)));
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_THAT(config.notes,
              testing::ElementsAre(testing::EndsWith(
                  "no llama.rope.freq_base; using 10000, the default of "
                  "llama")));
}

// LLaMA 3.1's file has its scaling as a table, which divides the frequencies.
TEST(ConfigFromGguf, ATableOfFactorsIsAScaling) {
  GgufBuilder b = tiny_llama_gguf();
  b.tensor("rope_freqs.weight", 0, {1}, raw(4.0f));
  const auto file = open(b);
  const ModelConfig config = config_from_gguf(*file);
  EXPECT_EQ(config.rope.type, "factors");
  EXPECT_THAT(config.rope.factors, testing::ElementsAre(4.0));
  EXPECT_EQ(open_gguf_tensors(file)->find("rope_freqs.weight"), nullptr);
  EXPECT_THAT(gguf_refusal([](GgufBuilder& other) {
                other.tensor("rope_freqs.weight", 0, {2},
                             raw(1.0f) + raw(2.0f));
              }),
              HasSubstr("rope factors: expected 1 numbers"));
  EXPECT_THAT(gguf_refusal([](GgufBuilder& other) {
                other.tensor("rope_freqs.weight", 0, {1}, raw(0.0f));
              }),
              HasSubstr("above 0"));
}

// A key that concerns nobody here may be larger than an integer.
TEST(ConfigFromGguf, ALargeNumberElsewhereIsNoHindrance) {
  EXPECT_EQ(gguf_refusal([](GgufBuilder& b) {
              b.value("general.parameter_count", 10, raw(UINT64_MAX));
            }),
            "no error");
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
