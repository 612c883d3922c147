// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_writer.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "formats/config_out.h"
#include "formats/gguf_builder.h"
#include "formats/safetensors.h"

namespace selfalign::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

PlannedTensor planned(const TensorView& view) {
  return {view.name, view.type, view.shape,
          [bytes = view.bytes] { return std::string(bytes); }};
}

GgufEntries entries_of(const GgufFile& file) {
  GgufEntries entries;
  for (size_t i = 0; i < file.metadata().size(); ++i) {
    entries.set_stored(file.metadata()[i].first, std::string(file.stored(i)));
  }
  return entries;
}

// What a file holds, written again, is the file.
TEST(GgufWriter, CopiesAFileToTheByte) {
  GgufBuilder builder = tiny_llama_gguf();
  builder.value("x.i64", 11, raw(int64_t{-5}));
  builder.value("x.f64", 12, raw(0.1));
  builder.value("x.bool", 7, raw(uint8_t{1}));
  builder.array("x.bytes", 0, 3, "abc");
  const std::string bytes = builder.bytes();
  const auto file = GgufFile::open(test_file("to_copy.gguf", bytes));
  std::vector<PlannedTensor> tensors;
  for (const TensorView& view : file->tensors()) {
    tensors.push_back(planned(view));
  }
  const std::string path = testing::TempDir() + "formats_copy.gguf";
  const GgufWriter writer(path, entries_of(*file), tensors);
  // It is whole before there are values, so that it can be looked at.
  EXPECT_EQ(config_from_gguf(*GgufFile::open(path)).hidden_size, 4);
  writer.write_tensors();
  std::string found = read_file(path);
  ASSERT_GE(found.size(), bytes.size());  // the last tensor is padded, too
  found.resize(bytes.size());
  EXPECT_EQ(found, bytes);
}

TEST(GgufWriter, EntriesHaveTheirTypes) {
  GgufEntries entries;
  entries.set("a.text", "one");
  entries.set("a.number", uint32_t{7});
  entries.set("a.real", 0.5f);
  entries.set("a.truth", true);
  entries.set("a.texts", std::vector<std::string>{"x", ""});
  entries.set("a.numbers", std::vector<int32_t>{-1, 3});
  entries.set("a.reals", std::vector<float>{0.25f});
  entries.set("a.gone", "x");
  entries.remove("a.gone");
  entries.set("a.text", "two");  // in its place
  const std::string path = testing::TempDir() + "formats_entries.gguf";
  GgufWriter(path, entries, {}).write_tensors();
  const auto file = GgufFile::open(path);
  EXPECT_EQ(file->metadata().size(), 7u);
  EXPECT_EQ(file->metadata()[0].first, "a.text");
  EXPECT_EQ(file->get_string("a.text"), "two");
  EXPECT_EQ(file->get_int("a.number"), 7);
  EXPECT_EQ(file->get_float("a.real"), 0.5);
  EXPECT_TRUE(file->get_bool_or("a.truth", false));
  EXPECT_THAT(file->get_strings("a.texts"), ElementsAre("x", ""));
  EXPECT_THAT(file->get_ints("a.numbers"), ElementsAre(-1, 3));
  EXPECT_THAT(file->get_floats("a.reals"), ElementsAre(0.25));
}

TEST(ModelTensors, OverTheLimitThereAreShardsAndAnIndex) {
  const ScratchFolder folder;
  std::vector<PlannedTensor> tensors;
  for (const char* name : {"a", "b", "c"}) {
    tensors.push_back({name, ElementType::kF32, {4}, [name] {
                         return std::string(16, name[0]);
                       }});
  }
  EXPECT_THAT(write_model_tensors(folder.path(), tensors, 40),
              ElementsAre("model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  const auto source = open_safetensors(folder.path());
  ASSERT_EQ(source->tensors().size(), 3u);
  EXPECT_EQ(source->find("c")->bytes, std::string(16, 'c'));
  const std::string path = folder.path() + "/model.safetensors.index.json";
  EXPECT_EQ(parse_json(read_file(path), path)["metadata"]["total_size"], 48);
  const ScratchFolder whole;
  EXPECT_THAT(write_model_tensors(whole.path(), tensors, 48),
              ElementsAre("model.safetensors"));
  EXPECT_EQ(open_safetensors(whole.path())->find("b")->bytes,
            std::string(16, 'b'));
}

ModelConfig llama() {
  const auto file =
      GgufFile::open(test_file("llama.gguf", tiny_llama_gguf().bytes()));
  return config_from_gguf(*file);
}

TEST(ConfigToJson, SaysWhatTheModelIsOrRefuses) {
  const Json json = config_to_json(llama(), "m.gguf");
  EXPECT_EQ(json["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(dump_json(json["rms_norm_eps"]), "1e-05");
  EXPECT_EQ(dump_json(json["rope_theta"]), "10000.0");
  ModelConfig other = llama();
  other.family = "gemma";
  EXPECT_THAT(message_of([&] { config_to_json(other, "m.gguf"); }),
              HasSubstr("m.gguf: a GGUF file of a model of type gemma cannot"));
  other = llama();
  other.logit_softcap = 30.0;
  EXPECT_THAT(message_of([&] { config_to_json(other, "m.gguf"); }),
              HasSubstr("the model's soft caps cannot be said"));
}

// A table of factors is llama3's rope where it is to the last bit of a float.
TEST(ConfigToJson, KnowsLlama3sTable) {
  ModelConfig config = llama();
  config.head_dim = config.rotary_dim = 64;
  config.max_positions = 131072;
  config.rope = {.theta = 500000.0, .type = "llama3", .factor = 8.0};
  config.rope.original_positions = 8192;
  config = gguf_config(config, GgufForm{}, "m.gguf");
  ASSERT_EQ(config.rope.type, "factors");
  EXPECT_EQ(config.rope.factors.front(), 1.0);
  EXPECT_EQ(config.rope.factors.back(), 8.0);
  for (double& factor : config.rope.factors) factor = float(factor);
  const Json json = config_to_json(config, "m.gguf");
  EXPECT_EQ(json["rope_scaling"]["rope_type"], "llama3");
  EXPECT_EQ(json["rope_scaling"]["factor"], 8.0);
  config.rope.factors[12] *= 1.5;
  EXPECT_THAT(message_of([&] { config_to_json(config, "m.gguf"); }),
              HasSubstr("the model's rope cannot be said"));
}

}  // namespace
}  // namespace selfalign::formats
