// SPDX-License-Identifier: Apache-2.0
#include "recipe/decoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "recipe/recipe.h"
#include "stages/stage_table.h"

namespace selfalign::recipe {
namespace {

using ::testing::HasSubstr;

TEST(DecodingTest, ModelsAreComparedAtThePapersTemperatureWithoutPenalty) {
  const generate::Sampling sampling = comparison_sampling();
  EXPECT_EQ(sampling.temperature, 0.7);
  EXPECT_EQ(sampling.repetition_penalty, 1.0);
  EXPECT_TRUE(sampling.ngram_penalty.empty());
}

TEST(DecodingTest, GreedyHasNoPenalty) {
  generate::Sampling sampling;
  sampling.temperature = 0.3;
  sampling.repetition_penalty = 1.1;
  sampling.ngram_penalty = {0, 0, 1, 2};
  sampling.max_new_tokens = 77;
  sampling.stop = {"\n"};
  const generate::Sampling found = greedy(sampling);
  EXPECT_EQ(found.temperature, 0.0);
  EXPECT_EQ(found.repetition_penalty, 1.0);
  EXPECT_TRUE(found.ngram_penalty.empty());
  EXPECT_EQ(found.max_new_tokens, 77);
  EXPECT_EQ(found.stop.size(), 1);
}

TEST(DecodingTest, WhatIsGivenBeatsTheRestAndTemperatureZeroIsGreedy) {
  generate::Sampling sampling;
  sampling.repetition_penalty = 1.3;
  GivenSampling given;
  EXPECT_FALSE(given.any());
  given.top_p = 0.5;
  EXPECT_TRUE(given.any());
  given.put(sampling);
  EXPECT_EQ(sampling.top_p, 0.5);
  EXPECT_EQ(sampling.repetition_penalty, 1.3);
  given.temperature = 0.0;
  given.put(sampling);
  EXPECT_EQ(sampling.repetition_penalty, 1.0);
  given.repetition_penalty = 1.2;
  given.put(sampling);
  EXPECT_EQ(sampling.repetition_penalty, 1.2);
}

TEST(DecodingTest, GoesThroughJson) {
  generate::Sampling sampling = comparison_sampling();
  sampling.ngram_penalty = {0, 1};
  sampling.ban_eos = true;
  const Json json = to_json(sampling);
  EXPECT_EQ(to_json(sampling_from_json(json, "here")), json);
  for (const char* bad :
       {R"({"top_p": 0})", R"({"temperature": "hot"})",
        R"({"max_new_tokens": 0})", R"({"ngram_penalty": ["x"]})",
        R"({"ngram_penalty": [1, 2, 3, 4, 5]})", R"([1])",
        R"({"repetition_penalty": -1})"}) {
    EXPECT_THAT(refusal_of([&] {
                  sampling_from_json(parse_json(bad, "here"), "here");
                }),
                HasSubstr("here: "))
        << bad;
  }
}

TEST(DecodingTest, IsSaidInWords) {
  generate::Sampling sampling = comparison_sampling();
  EXPECT_EQ(sampling_text(to_json(sampling)),
            "temperature 0.7, top-p 0.95, at most 512 tokens, no penalty");
  EXPECT_EQ(sampling_text(to_json(greedy(sampling))),
            "greedy, at most 512 tokens, no penalty");
  sampling.repetition_penalty = 1.1;
  EXPECT_THAT(sampling_text(to_json(sampling)),
              HasSubstr("tokens, repetition penalty 1.1"));
  Json by_category = to_json(comparison_sampling());
  by_category["temperature"] = "by category";
  EXPECT_THAT(sampling_text(by_category),
              HasSubstr("temperature by category, top-p 0.95"));
}

TEST(DecodingTest, VariantsAreAskedAlikeOrEachAsItsStage) {
  Recipe recipe = default_recipe();
  for (const stages::Variant& variant : stages::variants()) {
    EXPECT_EQ(to_json(stages::variant_sampling(recipe, variant.name)),
              to_json(recipe.comparison.sampling))
        << variant.title;
  }
  recipe.comparison.decoding = "own";
  EXPECT_EQ(stages::variant_sampling(recipe, "verbose").repetition_penalty,
            1.1);
  EXPECT_EQ(stages::variant_sampling(recipe, "engraved").temperature, 0.5);
}

}  // namespace
}  // namespace selfalign::recipe
