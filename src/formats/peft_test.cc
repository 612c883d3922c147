// SPDX-License-Identifier: Apache-2.0
#include "formats/peft.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string folder() {
  std::string path = testing::TempDir() + "formats_peft";
  make_folder(path);
  return path;
}

std::string refusal(const char* patch) {
  Json json = parse_json(
      read_file("tests/data/tiny_llama/adapter/adapter_config.json"), "PEFT's");
  json.merge_patch(parse_json(patch, "patch"));
  write_file_atomic(folder() + "/adapter_config.json", json.dump());
  return refusal_of([] { read_adapter_config(folder()); });
}

TEST(AdapterConfig, ReadsBackWhatItWrites) {
  AdapterConfig config;
  config.rank = 8;
  config.alpha = 12.5;
  config.dropout = 0.05;
  config.target_modules = {"q_proj", "v_proj"};
  config.base_model = "some/model";
  write_adapter_config(folder(), config);
  const AdapterConfig found = read_adapter_config(folder());
  EXPECT_EQ(found.rank, 8);
  EXPECT_EQ(found.alpha, 12.5);
  EXPECT_EQ(found.dropout, 0.05);
  EXPECT_THAT(found.target_modules, ElementsAre("q_proj", "v_proj"));
  EXPECT_EQ(found.base_model, "some/model");
}

TEST(AdapterConfig, WritesWholeAlphaAsPeftDeclaresIt) {
  write_adapter_config(folder(), {});
  EXPECT_THAT(read_file(folder() + "/adapter_config.json"),
              HasSubstr("\"lora_alpha\": 16,"));
}

// tests/data/README.md says how PEFT wrote it.
TEST(AdapterConfig, ReadsPeftsOwn) {
  const AdapterConfig config =
      read_adapter_config("tests/data/tiny_llama/adapter");
  EXPECT_EQ(config.rank, 4);
  EXPECT_EQ(config.alpha, 8.0);
  EXPECT_THAT(
      config.target_modules,
      testing::UnorderedElementsAre("q_proj", "k_proj", "v_proj", "o_proj"));
}

TEST(AdapterConfig, RefusesWhatItCannotApply) {
  EXPECT_EQ(refusal("{}"), "no error");
  EXPECT_EQ(refusal(R"({"init_lora_weights": "gaussian"})"), "no error");
  for (const char* patch : {R"({"peft_type": "IA3"})",
                            R"({"bias": "all"})",
                            R"({"use_rslora": 1})",
                            R"({"use_dora": true})",
                            R"({"fan_in_fan_out": true})",
                            R"({"lora_bias": true})",
                            R"({"modules_to_save": ["lm_head"]})",
                            R"({"rank_pattern": {"q_proj": 0}})",
                            R"({"rank_pattern": {"q_proj": 4.5}})",
                            R"({"alpha_pattern": {"q_proj": "4"}})",
                            R"({"alpha_pattern": ["q_proj"]})",
                            R"({"layers_to_transform": [-1]})",
                            R"({"layers_to_transform": "all"})",
                            R"({"layers_pattern": [1]})",
                            R"({"exclude_modules": {"q_proj": 1}})",
                            R"({"some_new_thing": 1})",
                            R"({"init_lora_weights": "pissa"})",
                            R"({"target_modules": []})",
                            R"({"target_modules": ""})",
                            R"({"target_modules": null})",
                            R"({"target_modules": [""]})",
                            R"({"target_modules": [4]})",
                            R"({"r": 0})",
                            R"({"r": "4"})",
                            R"({"lora_alpha": 0})",
                            R"({"lora_alpha": null})",
                            R"({"lora_alpha": 1e308})",
                            R"({"lora_alpha": 1e-300})",
                            R"({"lora_dropout": 1})"}) {
    EXPECT_THAT(refusal(patch), HasSubstr("adapter_config.json: ")) << patch;
  }
  // What no float holds is refused where it stands, not where it is used.
  EXPECT_THAT(refusal(R"({"lora_alpha": 1e308})"),
              HasSubstr("lora_alpha: expected a number from 1e-06 to 1e+06, "
                        "found 1e+308"));
  EXPECT_EQ(refusal(R"({"lora_alpha": 1e-6})"), "no error");
  const std::string name(1 << 20, 'n');
  for (const std::string& patch :
       {"{\"" + name + "\": 1}", "{\"use_dora\": \"" + name + "\"}",
        "{\"bias\": \"" + name + "\"}", "{\"peft_type\": \"" + name + "\"}",
        "{\"target_modules\": [\"" + name + "\"]}"}) {
    EXPECT_LT(refusal(patch.c_str()).size(), 500u);
  }
  EXPECT_THAT(refusal_of([] { read_adapter_config(testing::TempDir()); }),
              HasSubstr("adapter_config.json"));
}

constexpr char kUp3[] = "model.layers.3.mlp.up_proj";
constexpr char kQ0[] = "model.layers.0.self_attn.q_proj";

// What an adapter_config.json with these members says of a module.
std::string found(const char* patch, const char* module) {
  EXPECT_EQ(refusal(patch), "no error") << patch;
  const AdapterConfig config = read_adapter_config(folder());
  const auto settings = AdapterTargets(config, "x").find(module);
  if (!settings) return "none";
  return str(settings->rank, ' ', settings->scale);
}

// As PEFT's check_target_module_exists and get_pattern_key have it.
TEST(AdapterTargets, AreWhatPeftTakes) {
  EXPECT_EQ(found("{}", kQ0), "4 2");
  EXPECT_EQ(found("{}", kUp3), "none");
  EXPECT_EQ(found(R"({"target_modules": "all-linear"})", kUp3), "4 2");
  EXPECT_EQ(found(R"({"target_modules": ["mlp.up_proj"]})", kUp3), "4 2");
  EXPECT_EQ(found(R"({"target_modules": ["p_proj"]})", kUp3), "none");
  EXPECT_EQ(
      found(R"({"target_modules": ["model.layers.3.mlp.up_proj"]})", kUp3),
      "4 2");
  EXPECT_EQ(found(R"({"target_modules": ".*\\.(up|down)_proj"})", kUp3), "4 2");
  EXPECT_EQ(found(R"({"target_modules": "up_proj"})", kUp3), "none");
  EXPECT_EQ(found(R"({"target_modules": "all-linear",
                      "exclude_modules": ["up_proj"]})",
                  kUp3),
            "none");
  EXPECT_EQ(found(R"({"exclude_modules": ".*layers\\.0\\..*"})", kQ0), "none");
  EXPECT_EQ(found(R"({"layers_to_transform": [1, 2]})", kQ0), "none");
  EXPECT_EQ(found(R"({"layers_to_transform": 0})", kQ0), "4 2");
  EXPECT_EQ(
      found(R"({"layers_to_transform": [0], "layers_pattern": "h"})", kQ0),
      "none");
  EXPECT_EQ(found(R"({"layers_to_transform": [0],
                      "layers_pattern": ["h", "layers"]})",
                  kQ0),
            "4 2");
}

TEST(AdapterTargets, RanksAndAlphasByPattern) {
  EXPECT_EQ(found(R"({"use_rslora": true})", kQ0), "4 4");
  EXPECT_EQ(found(R"({"rank_pattern": {"q_proj": 2}})", kQ0), "2 4");
  EXPECT_EQ(found(R"({"rank_pattern": {"proj": 2}})", kQ0), "4 2");
  EXPECT_EQ(found(R"({"rank_pattern": {"layers\\.\\d+\\..*": 16}})", kQ0),
            "16 0.5");
  EXPECT_EQ(found(R"({"alpha_pattern": {"self_attn.q_proj": 32}})", kQ0),
            "4 8");
  EXPECT_EQ(found(R"({"alpha_pattern": {"^model.layers.0.self_attn.q_proj": 1},
                      "rank_pattern": {"q_proj": 16}, "use_rslora": true})",
                  kQ0),
            "16 0.25");
}

TEST(AdapterTargets, AnExpressionThatIsNoneOrHangsIsAnError) {
  const auto error = [](const char* patch) {
    EXPECT_EQ(refusal(patch), "no error");
    const AdapterConfig config = read_adapter_config(folder());
    return message_of(
        [&] { static_cast<void>(AdapterTargets(config, "x").find(kQ0)); });
  };
  EXPECT_THAT(error(R"({"target_modules": "(q_proj"})"),
              HasSubstr("x: target_modules: the pattern (q_proj is no regular "
                        "expression"));
  EXPECT_THAT(error(R"({"target_modules": "(([a-z._0-9]+)+)+[^a-z._0-9]"})"),
              HasSubstr("x: target_modules: a pattern cannot be matched"));
  EXPECT_THAT(error(R"({"rank_pattern": {"[": 4}})"),
              HasSubstr("x: rank_pattern: the pattern"));
}

TEST(AdapterNames, OfAllFamiliesAndSpellings) {
  const auto parsed = [](const char* name, const char* family) {
    const auto at = parse_adapter_name(name, family);
    if (!at) return std::string("none");
    return str(at->layer, ' ', at->module, at->is_b ? " B" : " A");
  };
  for (const char* prefix :
       {"base_model.model.model.", "model.", "", "base_model.model."}) {
    EXPECT_EQ(parsed(str(prefix, "layers.12.mlp.up_proj.lora_B.weight").c_str(),
                     "llama"),
              "12 mlp.up_proj B");
  }
  EXPECT_EQ(
      parsed("model.layers.0.self_attn.q_proj.lora_A.default.weight", "llama"),
      "0 self_attn.q_proj A");
  EXPECT_EQ(parsed("base_model.model.gpt_neox.layers.1.attention."
                   "query_key_value.lora_A.weight",
                   "gpt_neox"),
            "1 self_attn.query_key_value A");
  for (const char* name :
       {"base_model.model.lm_head.lora_A.weight",
        "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.model.layers.x.mlp.up_proj.lora_A.weight",
        "base_model.model.model.layers.-1.mlp.up_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector",
        "base_model.model.model.layers.0.mlp.up_proj.lora_A.bias",
        "base_model.model.model.layers.0", "layers.", ""}) {
    EXPECT_EQ(parsed(name, "llama"), "none") << name;
  }
  EXPECT_EQ(adapter_name({2, "mlp.down_proj", true}, "gpt_neox"),
            "base_model.model.gpt_neox.layers.2.mlp.dense_4h_to_h.lora_B."
            "weight");
  EXPECT_EQ(adapter_name({2, "mlp.up_proj", false}, "starcoder2"),
            "base_model.model.model.layers.2.mlp.c_fc.lora_A.weight");
}

TEST(AdapterConfig, APickleIsToBeConverted) {
  const ScratchFolder pickled;
  write_adapter_config(pickled.path(), {});
  write_file_atomic(pickled.path() + "/adapter_model.bin", "x");
  EXPECT_THAT(message_of([&] { read_adapter_config(pickled.path()); }),
              HasSubstr("adapter_model.bin is a pickle"));
}

}  // namespace
}  // namespace selfalign::formats
