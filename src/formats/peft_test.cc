// SPDX-License-Identifier: Apache-2.0
#include "formats/peft.h"

#include <gmock/gmock.h>

#include "base/file.h"
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
                            R"({"use_rslora": true})",
                            R"({"use_dora": true})",
                            R"({"fan_in_fan_out": true})",
                            R"({"lora_bias": true})",
                            R"({"modules_to_save": ["lm_head"]})",
                            R"({"rank_pattern": {"q_proj": 4}})",
                            R"({"alpha_pattern": {"q_proj": 4}})",
                            R"({"layers_to_transform": [0]})",
                            R"({"some_new_thing": 1})",
                            R"({"init_lora_weights": "pissa"})",
                            R"({"target_modules": "all-linear"})",
                            R"({"target_modules": []})",
                            R"({"target_modules": ["lm_head"]})",
                            R"({"target_modules": ["q_proj", "q_proj"]})",
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

}  // namespace
}  // namespace selfalign::formats
