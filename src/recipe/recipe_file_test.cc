// SPDX-License-Identifier: Apache-2.0
#include "recipe/recipe_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/testing.h"
#include "recipe/recipe.h"
#include "recipe/recipe_text.h"
#include "recipe/yaml.h"

namespace selfalign::recipe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RecipeTest : public ::testing::Test {
 protected:
  RecipeTest() { make_folder(folder_ + "/sub"); }

  std::string write(const std::string& text) {
    const std::string path = folder_ + "/sub/small.yaml";
    write_file_atomic(path, text);
    return path;
  }
  std::string error_of(const std::string& text) {
    const std::string path = write(text);
    std::string found =
        refusal_of([&] { read_recipe(path); }, ErrorKind::kUsage);
    for (size_t at; (at = found.find(path)) != std::string::npos;) {
      found.replace(at, path.size(), "F");
    }
    return found;
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path();
};

constexpr char kSmall[] =
    "model:\n"
    "  path: ../model.gguf\n"
    "prompts_folder: ../prompts\n";

TEST_F(RecipeTest, ThresholdsAreOffUntilSetAndOfProfileDefault) {
  Recipe recipe = read_recipe(write(kSmall));
  EXPECT_FALSE(recipe.instruct.strict_form);
  EXPECT_EQ(recipe.instruct.min_log_likelihood, -10000.0);
  EXPECT_EQ(recipe.align.limits.min_gain, -100.0);
  EXPECT_EQ(recipe.verbose.limits.min_gain, -100.0);
  EXPECT_EQ(recipe.align.limits.max_repetition, 1.0);
  EXPECT_EQ(recipe.align.limits.min_new_content, 0.0);
  EXPECT_FALSE(recipe.align.limits.need_end);
  const std::string set =
      "instruct: {strict_form: true, min_log_likelihood: -32.5, opening_words: "
      "3}\n"
      "align: {min_gain: 0.25, max_repetition: 0.1}\n"
      "verbose: {min_gain: -0.5, need_end: true, min_new_content: 0.2}\n";
  recipe = read_recipe(write(recipe_to_yaml(read_recipe(write(kSmall + set)))));
  EXPECT_TRUE(recipe.instruct.strict_form);
  EXPECT_EQ(recipe.instruct.min_log_likelihood, -32.5);
  EXPECT_EQ(recipe.instruct.opening_words, 3);
  EXPECT_EQ(recipe.align.limits.min_gain, 0.25);
  EXPECT_EQ(recipe.verbose.limits.min_gain, -0.5);
  EXPECT_EQ(recipe.align.limits.max_repetition, 0.1);
  EXPECT_EQ(recipe.verbose.limits.max_repetition, 1.0);
  EXPECT_FALSE(recipe.align.limits.need_end);
  EXPECT_TRUE(recipe.verbose.limits.need_end);
  EXPECT_EQ(recipe.verbose.limits.min_new_content, 0.2);
  const std::string refused = error_of("profile: paper\n" + (kSmall + set));
  for (const char* key :
       {"strict_form belongs", "min_log_likelihood belongs",
        "opening_words belongs", "min_gain belongs to profile default",
        "align: max_repetition belongs", "verbose: need_end belongs",
        "verbose: min_new_content belongs"}) {
    EXPECT_NE(refused.find(key), std::string::npos) << refused;
  }
  EXPECT_THAT(error_of(std::string(kSmall) +
                       "instruct: {opening_words: 2, hints_per_request: 5}\n"),
              HasSubstr("opening_words goes with hints_per_request of 1"));
  EXPECT_NE(
      error_of(std::string(kSmall) + "instruct: {min_log_likelihood: 0.5}\n"),
      "");
}

TEST_F(RecipeTest, DefaultsArePaperSettingsAndPathsAreResolved) {
  const Recipe recipe = read_recipe(write(kSmall));
  EXPECT_EQ(recipe.name, "small");
  EXPECT_EQ(recipe.model.path, folder_ + "/model.gguf");
  EXPECT_EQ(recipe.prompts_folder, folder_ + "/prompts");
  EXPECT_EQ(recipe.instruct.sampling.top_p, 0.98);
  EXPECT_TRUE(recipe.instruct.sampling.ban_eos);
  EXPECT_EQ(recipe.align.sampling.temperature, 0.5);
  EXPECT_EQ(recipe.engrave.learning_rate, 4e-4);
  EXPECT_EQ(recipe.engrave.max_length, 512);
  EXPECT_EQ(recipe.final.max_length, 768);
  EXPECT_TRUE(std::filesystem::path(recipe.run_folder).is_absolute());
}

// The numbers of the authors' scripts, one by one.
TEST_F(RecipeTest, ProfilePaperHasThePublishedSettings) {
  const Recipe recipe =
      read_recipe(write(std::string(kSmall) + "profile: paper\n"));
  const InstructOptions& instruct = recipe.instruct;
  EXPECT_EQ(instruct.num_exemplars, 5);
  EXPECT_EQ(instruct.max_rouge_l, 0.7);
  EXPECT_EQ(instruct.shard_size, 8192);
  EXPECT_EQ(instruct.balance, "smallest");
  EXPECT_EQ(instruct.topic_rounds, 6);
  EXPECT_EQ(instruct.hints_per_request, 5);
  EXPECT_EQ(instruct.sampling.temperature, 1.0);
  EXPECT_EQ(instruct.sampling.top_p, 0.98);
  EXPECT_EQ(instruct.sampling.max_new_tokens, 1024);
  EXPECT_TRUE(instruct.sampling.ban_eos);
  EXPECT_EQ(instruct.topic_sampling.temperature, 1.0);
  EXPECT_EQ(instruct.topic_sampling.top_p, 0.98);
  EXPECT_EQ(instruct.topic_sampling.max_new_tokens, 128);
  EXPECT_TRUE(instruct.topic_sampling.ban_eos);
  EXPECT_EQ(instruct.question_sampling.temperature, 1.0);
  EXPECT_EQ(instruct.question_sampling.top_p, 0.95);
  EXPECT_EQ(instruct.question_sampling.max_new_tokens, 384);
  EXPECT_TRUE(instruct.question_sampling.ban_eos);
  EXPECT_EQ(recipe.align.sampling.temperature, 0.5);
  EXPECT_EQ(recipe.align.sampling.top_p, 0.95);
  EXPECT_EQ(recipe.align.sampling.max_new_tokens, 256);
  EXPECT_FALSE(recipe.align.sampling.ban_eos);
  EXPECT_EQ(recipe.verbose.sampling.temperature, 0.3);
  EXPECT_EQ(recipe.verbose.sampling.top_p, 0.7);
  EXPECT_EQ(recipe.verbose.sampling.max_new_tokens, 512);
  EXPECT_EQ(recipe.verbose.sampling.repetition_penalty, 1.0);
  EXPECT_EQ(recipe.verbose.sampling.ngram_penalty,
            (std::vector<double>{0.0, 0.0, 1.0, 2.0}));
  for (const TuneOptions& tune : {recipe.engrave, recipe.final}) {
    EXPECT_EQ(tune.rank, 16);
    EXPECT_EQ(tune.alpha, 16.0);
    EXPECT_EQ(tune.dropout, 0.05);
    EXPECT_EQ(tune.epochs, 1);
    EXPECT_EQ(tune.batch_size, 768);
    EXPECT_EQ(tune.learning_rate, 4e-4);
    EXPECT_EQ(tune.warmup_steps, 100);
    EXPECT_EQ(tune.weight_decay, 0.0);
    EXPECT_EQ(tune.max_grad_norm, 1.0);
  }
  EXPECT_EQ(recipe.engrave.max_length, 512);
  EXPECT_EQ(recipe.final.max_length, 768);
  EXPECT_EQ(recipe.identity_repeats, 1);
  EXPECT_EQ(recipe.identity_share, 1.0);
}

TEST_F(RecipeTest, IdentityRowsHaveAShareOfTheSamples) {
  Recipe recipe = read_recipe(write(kSmall));
  EXPECT_EQ(recipe.identity_share, 0.25);
  EXPECT_EQ(recipe.num_identity(91, 300), 91);
  EXPECT_EQ(recipe.num_identity(91, 60), 20);
  EXPECT_EQ(recipe.num_identity(91, 2), 0);
  recipe.identity_repeats = 3;
  EXPECT_EQ(recipe.num_identity(91, 3000), 273);
  recipe.identity_share = 0.1;
  EXPECT_EQ(recipe.num_identity(91, 90), 10);
  recipe.identity_share = 1.0;
  EXPECT_EQ(recipe.num_identity(91, 1), 273);
  EXPECT_THAT(error_of(std::string(kSmall) + "identity_share: 1.5\n"),
              HasSubstr("identity_share"));
  // A run of before there was a limit goes on as it began.
  const std::string kept = folder_ + "/recipe.resolved.yaml";
  write_file_atomic(kept, kSmall);
  EXPECT_EQ(read_recipe(kept).identity_share, 1.0);
}

// Dromedary-2's: what stages 2 and 3 have otherwise, and the rest as paper.
TEST_F(RecipeTest, ProfilePaper2HasTheSettingsOfTheSecondVersion) {
  const Recipe recipe =
      read_recipe(write(std::string(kSmall) + "profile: paper2\n"));
  EXPECT_EQ(recipe.profile, "paper2");
  EXPECT_EQ(recipe.align.sampling.temperature, 0.7);
  EXPECT_EQ(recipe.align.sampling.top_p, 0.95);
  EXPECT_EQ(recipe.align.sampling.max_new_tokens, 512);
  EXPECT_EQ(recipe.engrave.rank, 64);
  EXPECT_EQ(recipe.engrave.alpha, 16.0);
  EXPECT_EQ(recipe.engrave.dropout, 0.0);
  EXPECT_EQ(recipe.engrave.learning_rate, 1e-4);
  EXPECT_EQ(recipe.engrave.lr_scheduler, "cosine");
  EXPECT_EQ(recipe.engrave.target_modules[0], "all-linear");
  EXPECT_EQ(recipe.engrave.batch_size, 128);
  EXPECT_EQ(recipe.engrave.max_length, 1024);
  EXPECT_EQ(recipe.final.rank, 16);
  EXPECT_EQ(recipe.instruct.balance, "smallest");
  EXPECT_EQ(recipe.instruct.hints_per_request, 5);
  EXPECT_EQ(recipe.verbose.sampling.repetition_penalty, 1.0);
  const Recipe otherwise =
      read_recipe(write(std::string(kSmall) +
                        "profile: paper2\nengrave: {rank: 8, dropout: 0.1}\n"
                        "align: {sampling: {temperature: 0.6}}\n"));
  EXPECT_EQ(otherwise.engrave.rank, 8);
  EXPECT_EQ(otherwise.engrave.dropout, 0.1);
  EXPECT_EQ(otherwise.align.sampling.temperature, 0.6);
}

TEST_F(RecipeTest, ARecipeSaysOtherwiseThanItsProfile) {
  const Recipe recipe =
      read_recipe(write("profile: paper\n" + std::string(kSmall) +
                        "instruct: {sampling: {top_p: 0.5}, shard_size: 9,\n"
                        "           hints_per_request: 2}\n"
                        "align: {sampling: {top_p: 0.9}}\n"));
  EXPECT_EQ(recipe.instruct.shard_size, 9);
  EXPECT_EQ(recipe.instruct.hints_per_request, 2);
  EXPECT_EQ(recipe.instruct.sampling.top_p, 0.5);
  EXPECT_EQ(recipe.instruct.question_sampling.top_p, 0.95);
  EXPECT_EQ(recipe.align.sampling.top_p, 0.9);
  const Recipe own = read_recipe(
      write(std::string(kSmall) +
            "instruct: {sampling: {top_p: 0.5, max_new_tokens: 7}}\n"));
  EXPECT_EQ(own.instruct.topic_sampling.top_p, 0.5);
  EXPECT_EQ(own.instruct.hints_per_request, 1);
  EXPECT_EQ(own.instruct.question_sampling.max_new_tokens, 7);
}

TEST_F(RecipeTest, TheResolvedRecipeIsReadBack) {
  Recipe recipe = read_recipe(
      write(std::string(kSmall) +
            "run_folder: ../runs/a b\n"
            "seed: 18446744073709551615\n"
            "align: {sampling: {temperature: 0.1, ngram_penalty: [0.5, 1]}}\n"
            "contamination: {sets: [../x.csv, y.jsonl], max_rouge_l: 0.6}\n"
            "engrave: {learning_rate: 3.3e-5, epochs: 3}\n"
            "stages: [align, engrave]\n"
            "prompts_overlay: [../over, near/]\n"
            "instructions: {path: ../p.jsonl, max_rows: 9}\n"));
  const std::string yaml = recipe_to_yaml(recipe);
  const Recipe again = read_recipe(write(yaml));
  EXPECT_EQ(recipe_to_yaml(again), yaml);
  EXPECT_EQ(again.seed, UINT64_MAX);
  EXPECT_EQ(again.run_folder, folder_ + "/runs/a b");
  EXPECT_EQ(again.engrave.learning_rate, 3.3e-5);
  EXPECT_EQ(
      again.contamination.sets,
      (std::vector<std::string>{folder_ + "/x.csv", folder_ + "/sub/y.jsonl"}));
  EXPECT_EQ(again.contamination.max_rouge_l, 0.6);
  EXPECT_EQ(again.stages, (std::vector<std::string>{"align", "engrave"}));
  EXPECT_EQ(
      again.prompts_overlay,
      (std::vector<std::string>{folder_ + "/over", folder_ + "/sub/near"}));
  EXPECT_EQ(again.instructions.path, folder_ + "/p.jsonl");
  EXPECT_EQ(again.instructions.max_rows, 9);
  EXPECT_EQ(again.data.path, "");
  EXPECT_EQ(again.align.sampling.ngram_penalty,
            (std::vector<double>{0.5, 1.0}));
  recipe = read_recipe(
      write(std::string(kSmall) +
            "instruct: {balance: smallest, num_machine_exemplars: 2}\n"
            "final: {epochs: 3}\n"));
  const Recipe whole = read_recipe(write(recipe_to_yaml(recipe)));
  EXPECT_EQ(recipe_to_yaml(whole), recipe_to_yaml(recipe));
  EXPECT_EQ(whole.instruct.balance, "smallest");
  EXPECT_EQ(whole.instruct.num_machine_exemplars, 2);
  EXPECT_EQ(whole.final.epochs, 3);
}

TEST_F(RecipeTest, AnOverlayIsOneFolderOrAList) {
  const auto overlays = [&](const std::string& value) {
    const std::string text = kSmall + ("prompts_overlay: " + value + "\n");
    return read_recipe(write(text)).prompts_overlay;
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(overlays("../a"), List{folder_ + "/a"});
  EXPECT_EQ(overlays("[../b, /c]"), (List{folder_ + "/b", "/c"}));
  EXPECT_EQ(overlays("[]"), List{});
  EXPECT_EQ(overlays("\"\""), List{});  // as older runs wrote none
  const std::string start = std::string(kSmall) + "prompts_overlay: ";
  EXPECT_EQ(error_of(start + "[a, \"\"]\n"),
            "F:4:18: prompts_overlay: expected paths, found an empty one");
  EXPECT_NE(error_of(start + "{a: b}\n").find("F:4:18: prompts_overlay"),
            std::string::npos);
}

TEST_F(RecipeTest, AllMistakesComeAtOnceWithTheirPlace) {
  EXPECT_EQ(error_of("model:\n"
                     "  path: m\n"
                     "  dtype: float16\n"
                     "  num_slot: 3\n"
                     "prompts_folder: p\n"
                     "instruct:\n"
                     "  max_rouge_l: 1.5\n"
                     "  max_rouge_l: 0.5\n"
                     "engrave: [1]\n"
                     "final:\n"
                     "  epochs: many\n"
                     "sed: 1\n"),
            "F:3:10: model.dtype: expected one of auto, float32, bfloat16, "
            "found \"float16\"\n"
            "F:4:3: model.num_slot: unknown key; did you mean \"num_slots\"?\n"
            "F:7:16: instruct.max_rouge_l: expected a number from 0 to 1, "
            "found \"1.5\"\n"
            "F:8:3: instruct.max_rouge_l: expected once, found again\n"
            "F:9:10: engrave: expected keys and values, found something else\n"
            "F:11:11: final.epochs: expected a whole number from 1 to 10000, "
            "found \"many\"\n"
            "F:12:1: sed: unknown key; did you mean \"seed\"?");
}

TEST_F(RecipeTest, ASecondDocumentIsRefusedAtItsLine) {
  const std::string small = kSmall;
  const auto refusal = [](int line) {
    return str("F:", line,
               ":1: expected one YAML document in the file, found "
               "a second one; make one of them, or remove it");
  };
  EXPECT_EQ(error_of(small + "---\nseed: 7\n"), refusal(4));
  EXPECT_EQ(error_of("# first\n---\n" + small + "--- # second\n"), refusal(6));
  EXPECT_EQ(error_of("---\n---\n" + small), refusal(2));
  EXPECT_EQ(error_of(small + "...\nseed: 7\n"), refusal(5));
  EXPECT_EQ(error_of(small + "\n\n---\n---\n"), refusal(6));
  // One document, with its marks, and a line like them inside a text.
  EXPECT_EQ(error_of("%YAML 1.2\n---\n" + small + "...\n# the end\n"),
            "no error");
  EXPECT_EQ(error_of(small + "name: \"a --- b\"\n"), "no error");
}

TEST_F(RecipeTest, OtherEncodingsAreRefusedWithTheirPlace) {
  EXPECT_EQ(error_of(std::string(kSmall) + "name: caf\xe9\n"),
            "F:4:10: expected text in UTF-8, found the byte 0xe9 (perhaps "
            "Latin-1 or Windows-1252); save the file in UTF-8");
  std::string wide = "\xff\xfe";
  for (const char c : std::string(kSmall)) wide += {c, '\0'};
  EXPECT_EQ(error_of(wide),
            "F:1:1: expected text in UTF-8, found UTF-16 or UTF-32; save the "
            "file in UTF-8");
  EXPECT_EQ(error_of("\xef\xbb\xbf" + std::string(kSmall)), "no error");
}

TEST_F(RecipeTest, TheTildeIsTheHomeFolder) {
  const char* known = std::getenv("HOME");
  const std::string old = known != nullptr ? known : "/";
  ::setenv("HOME", "/people/ada", 1);
  const Recipe recipe =
      read_recipe(write("model: {path: ~/m.gguf}\n"
                        "run_folder: ~/runs/demo\n"
                        "prompts_folder: \"~\"\n"
                        "prompts_overlay: ~/over\n"
                        "instructions: {path: ~/p.txt}\n"
                        "stages: [align]\n"
                        "contamination: {sets: [~/a.csv, b.csv]}\n"));
  EXPECT_EQ(recipe.model.path, "/people/ada/m.gguf");
  EXPECT_EQ(recipe.run_folder, "/people/ada/runs/demo");
  EXPECT_EQ(recipe.prompts_folder, "/people/ada");
  EXPECT_EQ(recipe.prompts_overlay,
            std::vector<std::string>{"/people/ada/over"});
  EXPECT_EQ(recipe.instructions.path, "/people/ada/p.txt");
  EXPECT_EQ(
      recipe.contamination.sets,
      (std::vector<std::string>{"/people/ada/a.csv", folder_ + "/sub/b.csv"}));
  const std::string found = error_of(
      "model: {path: $HOME/m.gguf}\n"
      "run_folder: ${HOME}/x\n"
      "prompts_folder: ~nobody-of-that-name/x\n"
      "contamination: {sets: [$SETS/a.csv]}\n");
  for (const char* mistake :
       {"F:1:15: model.path: expected a path, found the shell's variable in "
        "\"$HOME/m.gguf\"",
        "F:2:13: run_folder: expected a path, found the shell's variable",
        "F:3:17: prompts_folder: there is no user of that name",
        "F:4:23: contamination.sets: expected a path, found the shell's"}) {
    EXPECT_NE(found.find(mistake), std::string::npos) << mistake << "\n"
                                                      << found;
  }
  ::setenv("HOME", old.c_str(), 1);
}

TEST_F(RecipeTest, NumbersThatDoNothingGoodAreRefused) {
  for (const char* value : {"0", "-1e-4", "nan", ".nan", "inf", ".inf"}) {
    EXPECT_EQ(error_of(str(kSmall, "final: {learning_rate: ", value, "}\n")),
              str("F:4:24: final.learning_rate: expected a number from 1e-12 "
                  "to 10, found \"",
                  value, "\""));
  }
  EXPECT_EQ(error_of(str(kSmall, "align: {sampling: {temperature: -1}}\n")),
            "F:4:33: align.sampling.temperature: expected a number from 0 to "
            "100, found \"-1\"");
  EXPECT_EQ(error_of(str(kSmall,
                         "align: {sampling: {temperature: 100, "
                         "repetition_penalty: 0.01}}\n")),
            "no error");
}

TEST_F(RecipeTest, MissingKeysAndOtherFilesAreMistakes) {
  const std::string missing = error_of("seed: 1\n");
  EXPECT_NE(missing.find("model: expected this key"), std::string::npos);
  EXPECT_NE(missing.find("prompts_folder: expected this key"),
            std::string::npos);
  EXPECT_NE(error_of("").find("model"), std::string::npos);
  EXPECT_NE(error_of("- a\n- b\n").find("F:1:1"), std::string::npos);
  EXPECT_NE(error_of("a: [1\nb: 2").find("this is no sound YAML"),
            std::string::npos);
  EXPECT_NE(error_of(std::string(kSmall) + "profile: papers\n")
                .find("F:4:10: profile"),
            std::string::npos);
  EXPECT_NE(error_of(std::string(kSmall) + "name: ../x\n").find("F:4:7: name"),
            std::string::npos);
}

TEST_F(RecipeTest, StagesAreAnySensibleSubset) {
  const auto stages = [&](const std::string& text) {
    return read_recipe(write(kSmall + text)).stages;
  };
  using List = std::vector<std::string>;
  EXPECT_EQ(stages(""), (List{"instruct", "align", "engrave", "verbose"}));
  EXPECT_EQ(stages("stages: [engrave, align, instruct]\n"),
            (List{"instruct", "align", "engrave"}));
  EXPECT_EQ(stages("stages: [align, engrave]\ninstructions: {path: p.jsonl}\n"),
            (List{"align", "engrave"}));
  EXPECT_EQ(stages("stages: [tune]\ndata: {path: d.json, max_rows: 3}\n"),
            List{"tune"});
  EXPECT_EQ(stages("stages: []\n"), List{});
}

TEST_F(RecipeTest, StagesThatDoNotGoTogetherAreMistakes) {
  const auto error = [&](const std::string& text) {
    return error_of(kSmall + text);
  };
  EXPECT_EQ(error("stages: [instruct, alin]\n"),
            "F:4:9: stages: expected instruct, align, engrave, verbose or "
            "tune, found \"alin\"; did you mean \"align\"?");
  for (const auto& [text, part] :
       std::vector<std::pair<std::string, std::string>>{
           {"stages: [align]\n", "F:4:9: stages: align needs instructions"},
           {"stages: [instruct, engrave]\n", "F:4:9: stages: engrave needs"},
           {"stages: [instruct, align, verbose]\n",
            "F:4:9: stages: verbose needs"},
           {"stages: [instruct, align, align]\n",
            "F:4:9: stages: expected align once"},
           {"stages: [tune]\n", "data: data.path and stage tune"},
           {"data: {path: d}\n", "F:4:7: data: data.path and stage tune"},
           {"stages: [instruct, tune]\ndata: {path: d}\n",
            "F:4:9: stages: tune stands alone"},
           {"instructions: {path: p}\n",
            "F:4:15: instructions: given instructions take the place"},
           {"stages: []\ninstructions: {path: p}\n",
            "F:5:15: instructions: instructions are given for stage align"},
           {"stages: []\nnum_held_out: 0\n", "F:5:15: num_held_out"}}) {
    EXPECT_NE(error(text).find(part), std::string::npos) << text << error(text);
  }
}

TEST_F(RecipeTest, WhatHasNoEffectIsAMistakeAtItsPlace) {
  const std::string given =
      "stages: [align]\n"
      "instructions: {path: p.txt, max_rows: 3}\n";
  EXPECT_EQ(
      error_of(kSmall + given +
               "instruct:\n"
               "  strict_form: true\n"
               "  min_log_likelihood: -3.5\n"
               "  sampling: {top_p: 0.5}\n"
               "  max_rouge_l: 0.6\n"
               "refill: {min_per_rule: 2}\n"
               "align: {min_gain: 0.5}\n"
               "contamination: {ngram_words: 9}\n"
               "identity_repeats: 3\n"),
      "F:7:16: instruct.strict_form: without stage instruct this has no "
      "effect; leave it out, or add stage instruct\n"
      "F:8:23: instruct.min_log_likelihood: without stage instruct this has no "
      "effect; leave it out, or add stage instruct\n"
      "F:9:21: instruct.sampling.top_p: without stage instruct this has "
      "no effect; leave it out, or add stage instruct\n"
      "F:11:24: refill.min_per_rule: without stage instruct this has no "
      "effect; leave it out, or add stage instruct\n"
      "F:14:19: identity_repeats: without stage engrave this has no "
      "effect; leave it out, or add stage engrave");
  for (const auto& [text, key, lacks] : std::vector<std::array<std::string, 3>>{
           {"stages: []\nalign: {min_gain: 1}", "align.min_gain",
            "stage align"},
           {"stages: []\nalign: {max_repetition: 0.2}", "align.max_repetition",
            "stage align"},
           {"stages: []\nalign: {need_end: true}", "align.need_end",
            "stage align"},
           {"stages: [instruct]\nengrave: {rank: 3}", "engrave.rank",
            "stage engrave"},
           {"stages: [instruct]\nverbose: {sampling: {top_p: 0.2}}",
            "verbose.sampling.top_p", "stage verbose"},
           {"stages: [instruct]\nverbose: {min_gain: 1}", "verbose.min_gain",
            "stage verbose"},
           {"stages: [instruct]\nfinal: {epochs: 2}", "final.epochs",
            "stage verbose"},
           {"tune: {epochs: 2}", "tune.epochs", "stage tune"},
           {"stages: [instruct]\nidentity_share: 0.5", "identity_share",
            "stage engrave"},
           {"stages: [instruct]\nrefill: {min_per_rule: 1}",
            "refill.min_per_rule", "stage align"},
           {"refill: {max_requests: 7}", "refill.max_requests",
            "refill.min_per_rule"},
           {"stages: [tune]\ndata: {path: d}\ncontamination: {sets: [s.csv]}",
            "contamination.sets", "stage instruct"},
           {"instructions: {max_rows: 9}", "instructions.max_rows",
            "instructions.path"},
           {"data: {max_rows: 9}", "data.max_rows", "data.path"},
           {"profile: paper\n" + given + "instruct: {max_rouge_l: 0.5}",
            "instruct.max_rouge_l", "stage instruct"}}) {
    EXPECT_THAT(error_of(kSmall + text + "\n"),
                HasSubstr(str(": ", key, ": without ", lacks, " this has no")));
  }
}

// What says the default, as a recipe written out does, and what a run that is
// there was begun with.
TEST_F(RecipeTest, ADefaultIsNoMistakeNorIsARunsOwnRecipe) {
  const std::string bare = std::string(kSmall) + "stages: []\n";
  EXPECT_EQ(
      error_of(bare +
               "instruct: {strict_form: false, min_log_likelihood: -10000.0}\n"
               "engrave: {learning_rate: 0.0004}\n"),
      "no error");
  // The profile's, too.
  const std::string ours = "instruct: {hints_per_request: 5}\n";
  EXPECT_EQ(error_of("profile: paper\n" + bare + ours), "no error");
  EXPECT_NE(error_of(bare + ours), "no error");
  // How the base answers where each is asked in its own way.
  EXPECT_EQ(error_of(bare + "align: {sampling: {top_p: 0.5}}\n"), "no error");
  const std::string kept = folder_ + "/recipe.resolved.yaml";
  write_file_atomic(kept, bare + "instruct: {min_log_likelihood: -3}\n");
  EXPECT_EQ(read_recipe(kept).instruct.min_log_likelihood, -3.0);
  // A stage that is not known is one mistake.
  EXPECT_THAT(
      error_of(std::string(kSmall) +
               "stages: [instruc]\ninstruct: {min_log_likelihood: -3}\n"),
      Not(HasSubstr("no effect")));
}

TEST_F(RecipeTest, AServersModelIsNotResolvedAndNotTrained) {
  const std::string remote =
      "name: small\nmodel: {path: \"http://host:80/v1#m\"}\n"
      "prompts_folder: ../prompts\n";
  const Recipe recipe = read_recipe(write(remote + "stages: [instruct]\n"));
  EXPECT_EQ(recipe.model.path, "http://host:80/v1#m");
  const std::string found = error_of(remote);
  EXPECT_NE(found.find("which a server's cannot be"), std::string::npos)
      << found;
  EXPECT_NE(error_of(remote + "stages: [tune]\ndata: {path: d}\n")
                .find("F:4:9: stages: engrave, verbose and tune train"),
            std::string::npos);
}

TEST_F(RecipeTest, AServersModelHasAnApiAndAPrice) {
  const std::string head = "name: small\nprompts_folder: ../prompts\n";
  const std::string settings =
      ", api: chat, price_input: 2.5, price_output: 10}\nstages: [instruct]\n";
  const Recipe recipe = read_recipe(
      write(head + "model: {path: \"https://host/v1#m\"" + settings));
  EXPECT_EQ(recipe.model.api, "chat");
  EXPECT_EQ(recipe.model.price.input, 2.5);
  const Recipe again = read_recipe(write(recipe_to_yaml(recipe)));
  EXPECT_EQ(again.model.api, "chat");
  EXPECT_EQ(again.model.price.output, 10.0);
  EXPECT_NE(error_of(head + "model: {path: m.gguf" + settings)
                .find("model.api: only of a model behind a server"),
            std::string::npos);
}

TEST_F(RecipeTest, AServersModelHasAFileOfKeysAndNoPasswordInItsAddress) {
  const std::string head = "name: small\nprompts_folder: ../prompts\n";
  const std::string end = "}\nstages: [instruct]\n";
  const Recipe recipe = read_recipe(write(
      head + "model: {path: \"https://host/v1#m\", api_key_file: keys" + end));
  EXPECT_TRUE(recipe.model.api_key_file.starts_with("/"));
  EXPECT_TRUE(recipe.model.api_key_file.ends_with("/keys"));
  EXPECT_EQ(read_recipe(write(recipe_to_yaml(recipe))).model.api_key_file,
            recipe.model.api_key_file);
  EXPECT_NE(error_of(head + "model: {path: m.gguf, api_key_file: keys" + end)
                .find("model.api_key_file: only of a model behind a server"),
            std::string::npos);
  const std::string error =
      error_of(head + "model: {path: \"http://u:hidden@host/v1\"" + end);
  EXPECT_NE(error.find("model.path: expected http://host:port/v1#name"),
            std::string::npos)
      << error;
  EXPECT_EQ(error.find("hidden"), std::string::npos) << error;
}

}  // namespace
}  // namespace selfalign::recipe
