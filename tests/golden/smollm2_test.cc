// SPDX-License-Identifier: Apache-2.0
// The real base model against transformers in float32: the greedy
// continuation of ten prompts, through the engine, with and without a shared
// prefix, and through several at once. The reference is made by
// tools/make_golden_smollm2.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <map>

#include "base/file.h"
#include "base/json.h"
#include "engine/engine.h"
#include "engine/engine_team.h"
#include "engine/parallel.h"
#include "formats/load_tokenizer.h"
#include "model/load_weights.h"

namespace selfalign {
namespace {

// The model that `dev` fetched.
constexpr char kModel[] = ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr char kGolden[] = "tests/data/smollm2_greedy.json";

class SmolLm2 : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) {
      std::cout << "SKIPPED ALOUD: " << kModel
                << " is not there; ./dev test fetches it\n";
      GTEST_SKIP();
    }
    golden_ = parse_json(read_file(kGolden), kGolden);
    tokenizer_ = formats::load_tokenizer(kModel);
    weights_ = std::make_shared<const model::Weights>(
        model::load_weights(kModel, at::kCPU, at::kFloat));
  }

  // Runs the prompts of the golden file, after a shared prefix or without
  // one; returns the sampled tokens by key.
  std::map<uint64_t, std::vector<int>> continuations(
      const engine::EngineOptions& options, bool with_prefix,
      int num_engines = 1) {
    const auto make = [&](size_t) {
      return engine::make_engine(weights_, tokenizer_, options);
    };
    const auto generator = engine::make_engine_team(
        engine::engine_places(processor_nodes(), num_engines,
                              engine::num_threads()),
        make);
    const auto prefix = std::make_shared<const std::string>("\n\n");
    uint64_t n = 0;
    std::map<uint64_t, std::vector<int>> out;
    generator->generate(
        [&]() -> std::optional<generate::Request> {
          if (n == golden_.at("cases").size()) return std::nullopt;
          generate::Request request;
          request.key = n;
          if (with_prefix) request.prefix = prefix;
          request.suffix = golden_.at("cases")[n++].at("prompt");
          request.sampling.temperature = 0.0;
          request.sampling.max_new_tokens = golden_.at("new_tokens");
          request.want_logprobs = true;
          return request;
        },
        [&](generate::Completion c) { out[c.key] = c.tokens; });
    return out;
  }

  Json golden_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  std::shared_ptr<const model::Weights> weights_;
};

TEST_F(SmolLm2, GreedyContinuationEqualsTheReference) {
  engine::EngineOptions options;
  options.num_slots = 8;
  options.max_context = 256;
  const auto out = continuations(options, false);
  for (size_t i = 0; i < golden_.at("cases").size(); ++i) {
    const Json& wanted = golden_.at("cases")[i];
    EXPECT_EQ(tokenizer_->encode(std::string(wanted.at("prompt"))),
              wanted.at("ids").get<std::vector<int>>());
    std::vector<int> tokens = wanted.at("tokens").get<std::vector<int>>();
    // The engine stops at a token that ends the text, the reference goes on.
    const auto& ends = tokenizer_->end_tokens();
    const auto end = std::find_first_of(tokens.begin(), tokens.end(),
                                        ends.begin(), ends.end());
    tokens.erase(end, tokens.end());
    EXPECT_EQ(out.at(i), tokens) << wanted.at("prompt");
  }
}

TEST_F(SmolLm2, SharedPrefixGivesTheSameGreedyText) {
  engine::EngineOptions shared;
  shared.num_slots = 8;
  shared.max_context = 256;
  engine::EngineOptions apart = shared;
  apart.share_prefix = false;
  EXPECT_EQ(continuations(shared, true), continuations(apart, true));
}

TEST_F(SmolLm2, SeveralEnginesGiveTheTextsOfOne) {
  engine::EngineOptions options;
  options.num_slots = 2;
  options.max_context = 256;
  const auto want = continuations(options, true);
  for (const int num_engines : {2, 3}) {
    EXPECT_EQ(continuations(options, true, num_engines), want);
  }
}

}  // namespace
}  // namespace selfalign
