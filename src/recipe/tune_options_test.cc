// SPDX-License-Identifier: Apache-2.0
// Settings of a tuning that came after runs had been made with the others.
#include "base/tune_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "recipe/recipe_file.h"
#include "recipe/recipe_text.h"

namespace selfalign::recipe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

TuneOptions read_tune(const std::string& settings) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/small.yaml";
  write_file_atomic(
      path,
      "model: {path: m.gguf}\nprompts_folder: p\nengrave: " + settings + "\n");
  return read_recipe(path).engrave;
}

TEST(TuneOptions, TargetsAreOneNameOrAList) {
  EXPECT_THAT(read_tune("{}").target_modules,
              ElementsAre("q_proj", "k_proj", "v_proj", "o_proj"));
  EXPECT_THAT(read_tune("{target_modules: all-linear}").target_modules,
              ElementsAre("all-linear"));
  EXPECT_THAT(read_tune("{target_modules: [up_proj, q_proj]}").target_modules,
              ElementsAre("up_proj", "q_proj"));
}

TEST(TuneOptions, PatternsGiveNumbersToNames) {
  const TuneOptions tune = read_tune(
      "{rank_pattern: {down_proj: 32, q_proj: 8}, alpha_pattern: {q_proj: "
      "4.5}}");
  EXPECT_THAT(tune.rank_pattern,
              ElementsAre(Pair("down_proj", 32), Pair("q_proj", 8)));
  EXPECT_THAT(tune.alpha_pattern, ElementsAre(Pair("q_proj", 4.5)));
}

TEST(TuneOptions, MistakesAreSaidWithTheirPlace) {
  const auto error = [](const std::string& settings) -> std::string {
    try {
      read_tune(settings);
    } catch (const Error& found) {
      return found.what();
    }
    return "no error";
  };
  EXPECT_THAT(error("{target_modules: q_porj}"),
              HasSubstr(":3:27: engrave.target_modules: expected q_proj, "));
  EXPECT_THAT(error("{target_modules: q_porj}"),
              HasSubstr("found \"q_porj\"; did you mean \"q_proj\"?"));
  EXPECT_THAT(error("{target_modules: []}"), HasSubstr("found none"));
  EXPECT_THAT(error("{rank_pattern: {lm_head: 4}}"),
              HasSubstr("rank_pattern.lm_head: unknown key"));
  EXPECT_THAT(error("{rank_pattern: {q_proj: 0}}"),
              HasSubstr("expected a whole number from 1 to 4096"));
  EXPECT_THAT(error("{lr_scheduler: step}"),
              HasSubstr("expected one of linear, cosine, constant"));
  EXPECT_THAT(error("{validation_share: 0.9}"), HasSubstr("from 0 to 0.5"));
}

// Stages are known by the digest of this text: it stays as it was where nothing
// new is asked for, and is read back where something is.
TEST(TuneOptions, AreWrittenOnlyWhereTheyAreOther) {
  const std::string plain = tune_to_yaml({});
  for (const char* key : {"target_modules", "use_rslora", "rank_pattern",
                          "alpha_pattern", "lr_scheduler", "pack_tokens",
                          "gradient_checkpointing", "validation_share"}) {
    EXPECT_THAT(plain, Not(HasSubstr(key)));
  }
  const std::string text =
      "{target_modules: [q_proj, up_proj], use_rslora: true, rank_pattern: "
      "{up_proj: 2}, alpha_pattern: {up_proj: 0.5}, lr_scheduler: cosine, "
      "pack_tokens: 4096, gradient_checkpointing: true, validation_share: 0.1}";
  const std::string written = tune_to_yaml(read_tune(text));
  EXPECT_NE(written, plain);
  const size_t begin = written.find('\n') + 1;  // behind "tune:"
  EXPECT_EQ(tune_to_yaml(read_tune("\n" + written.substr(begin))), written);
  EXPECT_THAT(written, HasSubstr("rank_pattern: {up_proj: 2}"));
}

// A profile may have other values, which a file that is silent means.
TEST(TuneOptions, AreAllWrittenWhereAProfileHasOthers) {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/small.yaml";
  const std::string head =
      "model: {path: m.gguf}\nprompts_folder: p\nprofile: paper2\n";
  write_file_atomic(path, head +
                              "engrave: {target_modules: [q_proj, k_proj, "
                              "v_proj, o_proj], lr_scheduler: linear}\n");
  const Recipe recipe = read_recipe(path);
  EXPECT_EQ(recipe.engrave.lr_scheduler, "linear");
  write_file_atomic(path, recipe_to_yaml(recipe));
  EXPECT_EQ(read_recipe(path).engrave.lr_scheduler, "linear");
  EXPECT_EQ(read_recipe(path).engrave.target_modules.size(), 4u);
}

}  // namespace
}  // namespace selfalign::recipe
