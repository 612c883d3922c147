// SPDX-License-Identifier: Apache-2.0
#include "local/doctor.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "local/memory_needs.h"
#include "model/load_weights.h"

namespace selfalign::local {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr char kTiny[] = "tests/data/tiny_llama";

std::vector<std::string> lines(const std::vector<Finding>& findings) {
  std::vector<std::string> all;
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
}

}  // namespace
}  // namespace selfalign::local
