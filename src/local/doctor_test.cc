// SPDX-License-Identifier: Apache-2.0
#include "local/doctor.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "engine/aten_decoder.h"
#include "local/memory_needs.h"
#include "model/load_weights.h"

namespace selfalign::local {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr char kTiny[] = "tests/data/tiny_llama";

std::vector<std::string> lines(const std::vector<Finding>& findings) {
  std::vector<std::string> all;
  all.reserve(findings.size());
  for (const Finding& finding : findings) {
    all.push_back(std::string(level_name(finding.level)) + ": " + finding.text);
  }
  return all;
}

// A copy of the tiny model, changed.
class DoctorTest : public testing::Test {
 protected:
  DoctorTest() {
    for (const fs::path path : list_folder(kTiny)) {
      if (fs::is_regular_file(path)) {
        fs::copy(path, folder_.path() / path.filename());
      }
    }
  }
  void change_config(const char* patch) {
    const std::string path = folder_.path() + "/config.json";
    Json json = parse_json(read_file(path), path);
    json.merge_patch(parse_json(patch, "patch"));
    write_file_atomic(path, dump_json(json));
  }
  std::vector<std::string> exam() const {
    return lines(examine_model(folder_.path()).findings);
  }
  const ScratchFolder folder_;
};

TEST_F(DoctorTest, AGoodModelHasItsFactsAndNoProblem) {
  const std::vector<std::string> found = exam();
  EXPECT_THAT(found, Contains(HasSubstr("ok: family: llama, ")));
  EXPECT_THAT(found, Contains("ok: weights: every tensor has its place"));
  EXPECT_THAT(found, Contains(HasSubstr("memory with --weights int4: ")));
  // But for its tokenizer, which is not there.
  EXPECT_EQ(std::count_if(
                found.begin(), found.end(),
                [](const auto& line) { return line.starts_with("problem"); }),
            1);
  EXPECT_THAT(found, Contains(HasSubstr("neither tokenizer.json nor")));
  EXPECT_THAT(found, Not(Contains(HasSubstr("chat template"))));
}

TEST_F(DoctorTest, WhatCannotBeUsedIsAProblemAndTheRestIsSaidAllTheSame) {
  change_config(
      R"({"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]})");
  std::vector<std::string> found = exam();
  EXPECT_THAT(found, Contains(HasSubstr("problem: ")));
  EXPECT_THAT(found, Contains(HasSubstr("ixtral")));
  EXPECT_THAT(found, Contains(HasSubstr("ok: tensors: ")));
  fs::remove(folder_.path() + "/model.safetensors");
  EXPECT_THAT(exam(), Not(Contains(HasSubstr("ok: tensors: "))));
}

TEST_F(DoctorTest, TrapsAreNamed) {
  write_file_atomic(folder_.path() + "/chat_template.jinja",
                    "{{ '<|im_start|>' }}");
  change_config(R"({"max_position_embeddings": 512})");
  const std::vector<std::string> found = exam();
  EXPECT_THAT(found, Contains(HasSubstr("a chat template (ChatML)")));
  EXPECT_THAT(found, Contains(HasSubstr("the context is 512 tokens")));
}

TEST(Machine, IsDescribed) {
  const std::vector<std::string> found = lines(examine_machine("."));
  EXPECT_THAT(found, Contains(HasSubstr("processor: ")));
  EXPECT_THAT(found, Contains(HasSubstr("disk: ")));
  EXPECT_THAT(lines(examine_machine("/no/such/folder")),
              Contains(HasSubstr("problem: /no/such/folder: ")));
}

TEST(MemoryNeeds, CountWhatIsHeld) {
  const formats::ModelConfig config =
      model::check_weights(kTiny, at::kMeta, at::kFloat);
  const model::Weights held = model::load_weights(kTiny, at::kCPU, at::kFloat);
  int64_t bytes = held.embedding.nbytes();
  if (!config.tied_embeddings) bytes += held.head.nbytes();
  for (const model::LayerWeights& layer : held.layers) {
    for (const auto of : model::kProjections) bytes += (layer.*of).nbytes();
  }
  const TuneOptions tune;
  using model::Rounding;
  const MemoryNeeds full =
      memory_needs(config, at::kFloat, Rounding::kNone, tune);
  EXPECT_EQ(full.weights, uint64_t(bytes));
  EXPECT_EQ(full.base, full.weights);
  const MemoryNeeds int4 =
      memory_needs(config, at::kFloat, Rounding::kInt4, tune);
  EXPECT_LT(int4.weights, full.weights / 3);
  EXPECT_LT(int4.pass, full.pass);  // one layer's graph
  // Two bytes of each number of the layers, which float32 has four of.
  const MemoryNeeds codes =
      memory_needs(config, at::kFloat, Rounding::kW8a8, tune);
  const uint64_t words =
      uint64_t(held.embedding.nbytes()) * (config.tied_embeddings ? 1 : 2);
  EXPECT_EQ(codes.base - words, (full.base - words) / 2);
  EXPECT_EQ(codes.pass, full.pass);
}

// What a GPU is asked for, as its path on a CPU takes it.
TEST_F(DoctorTest, ADevicesNeedsAreWhatTheDecoderTakes) {
  const auto weights = std::make_shared<const model::Weights>(
      model::load_weights(folder_.path(), at::kCPU, at::kFloat));
  const DeviceNeeds needs = device_needs(weights->config, at::kFloat, 40);
  const auto decoder =
      engine::make_aten_decoder(weights, {.num_slots = 40, .max_context = 900});
  const std::vector<int> tokens(60, 7);
  std::vector<std::unique_ptr<engine::Sequence>> rows;
  for (int i = 0; i < 40; ++i) {
    rows.push_back(decoder->new_sequence(900, false, nullptr));
    for (int64_t done = 0; done < (i < 2 ? 300 : 60); done += 60) {
      decoder->forward({{rows.back().get(), tokens.data(), 60}}, {});
    }
    if (i == 0) {
      EXPECT_EQ(uint64_t(decoder->cache_bytes()), needs.cache_slab);
      EXPECT_EQ(needs.cache(1, 300), needs.cache_slab);
    }
  }
  EXPECT_EQ(uint64_t(decoder->cache_bytes()), 3 * needs.cache_slab);
  EXPECT_EQ(needs.cache(21, 300), 3 * needs.cache_slab);
  EXPECT_EQ(needs.cache_slab, needs.cache_token * 16 * 256);
}

TEST_F(DoctorTest, ADeviceWithTooLittleMemoryIsToldBeforeLoading) {
  const auto config =
      model::check_weights(folder_.path(), at::kMeta, at::kFloat);
  const DeviceNeeds needs = device_needs(config, at::kFloat, 64);
  EXPECT_GT(needs.least(), needs.weights + needs.cache_slab);
  require_device_memory("m", needs, needs.least());
  require_device_memory("m", needs, std::nullopt);
  try {
    require_device_memory("m", needs, needs.least() - 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResources);
    EXPECT_THAT(
        error.what(),
        AllOf(HasSubstr(str("m: expected ", needs.least() >> 20,
                            " MiB of free memory on the device (")),
              HasSubstr(str("found ", (needs.least() - 1) >> 20, " MiB; use ")),
              HasSubstr("fewer slots (num_slots)"),
              HasSubstr("or device cpu")));
  }
  const auto says = [&](std::optional<uint64_t> available) {
    return lines({examine_device(config, at::kFloat, available)})[0];
  };
  const uint64_t full = needs.weights + needs.pass + needs.cache(64, 512);
  EXPECT_THAT(says(std::nullopt), testing::StartsWith("ok: memory on the GPU"));
  EXPECT_THAT(says(full), testing::EndsWith(" free"));
  EXPECT_THAT(says(full - 1), HasSubstr("; take fewer slots"));
  EXPECT_THAT(says(needs.least() - 1), HasSubstr("; it does not fit: "));
}

}  // namespace
}  // namespace selfalign::local
