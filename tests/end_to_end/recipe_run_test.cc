// SPDX-License-Identifier: Apache-2.0
// Every recipe of the project, run by the program: the real engine and trainer
// on a model that knows its lines, with the numbers cut down and the data that
// a user would give made here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/random.h"
#include "program.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "recipe/recipe_file.h"
#include "recipe/recipe_text.h"
#include "run_phrases.h"
#include "tiny_model.h"

namespace selfalign {
namespace {

namespace fs = std::filesystem;
using recipe::Recipe;
using ::testing::HasSubstr;

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator("recipes")) {
    if (entry.path().extension() == ".yaml") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Rows in the form that the recipe's file name promises.
std::string given_rows(const std::string& recipe) {
  std::string text;
  for (uint64_t i = 0; i < 8; ++i) {
    const std::string ask = "Tell me what the " + words(800 + i, 4) + " is.";
    const std::string answer = "It is " + words(900 + i, 6) + ".";
    Json row;
    if (recipe == "vicuna") {
      row["id"] = "row_" + std::to_string(i);
      for (int turn = 0; turn < 2; ++turn) {
        row["conversations"].push_back({{"from", "human"}, {"value", ask}});
        row["conversations"].push_back({{"from", "gpt"}, {"value", answer}});
      }
    } else if (recipe == "dolly") {
      row = {{"instruction", ask},
             {"context", i % 2 ? "" : words(i, 5)},
             {"response", answer},
             {"category", "open_qa"}};
    } else if (recipe == "alpaca") {
      row = {{"instruction", ask}, {"input", ""}, {"output", answer}};
    } else {
      row = {{"prompt", ask}};
    }
    text += dump_json(row) + "\n";
  }
  return text;
}

void cut_down(TuneOptions& tune) {
  tune.epochs = 1;
  tune.batch_size = 4;
  tune.max_length = 1024;
  tune.warmup_steps = 1;
}

class RecipeRun : public testing::TestWithParam<std::string>,
                  public tests::ProgramFolder {
 protected:
  // The recipe with everything that takes time made small.
  Recipe small() const {
    Recipe recipe = recipe::read_recipe("recipes/" + GetParam() + ".yaml");
    recipe.model = {path("model"), {}, "cpu", "float32", "full", 4, 12000};
    recipe.run_folder = path("run");
    if (recipe.has("instruct")) {
      recipe.instruct.num_instructions = 6;
      recipe.instruct.num_red_team = 4;
      recipe.instruct.max_requests = 60;
      recipe.instruct.topics_per_type = 5;
      // This model goes on with whole prompts only.
      recipe.instruct.opening_words = 0;
    }
    // This model's answers are of no language: all is measured, all passes.
    recipe.instruct.min_log_likelihood =
        std::min(recipe.instruct.min_log_likelihood, -9000.0);
    for (recipe::AnswerLimits* limits :
         {&recipe.align.limits, &recipe.verbose.limits}) {
      *limits = {.min_gain = std::min(limits->min_gain, -50.0)};
    }
    recipe.identity_repeats = std::min(recipe.identity_repeats, 1);
    recipe.num_held_out = 2;
    for (const auto& [stage, tune] : {std::pair("engrave", &recipe.engrave),
                                      {"verbose", &recipe.final},
                                      {"tune", &recipe.tune}}) {
      if (recipe.has(stage)) cut_down(*tune);
    }
    for (recipe::GivenData* given : {&recipe.instructions, &recipe.data}) {
      if (given->path.empty()) continue;
      given->path = path("given.jsonl");
      write_file_atomic(given->path, given_rows(GetParam()));
    }
    return recipe;
  }

  int run(const Recipe& recipe, const std::string& environment = "") {
    write_file_atomic(path("r.yaml"), recipe::recipe_to_yaml(recipe));
    return selfalign("run r.yaml", environment);
  }
  int selfalign(const std::string& arguments,
                const std::string& environment = "") {
    last_ = bash(environment + " selfalign --json " + arguments);
    return last_.code;
  }
  // The model of a run that is done, in every form.
  void expect_model_exports();
  Json json_of(const std::string& file) const {
    return parse_json(read_file(path(file)), file);
  }
  // Of the last call.
  Json output() const { return parse_json(last_.out, "stdout"); }
  std::string log() const { return last_.out + last_.err; }

 private:
  tests::Outcome last_;
};

TEST_P(RecipeRun, EndsWithTheAdaptersAndTheReportOfItsStages) {
  const Recipe recipe = small();
  make_phrase_model(recipe.model.path,
                    phrases_for(recipe::load_prompts(recipe.prompts_folder,
                                                     recipe.prompts_overlay)));
  ASSERT_EQ(run(recipe), 0) << log();
  const Json status = output();
  EXPECT_EQ(status["done"], true);
  const Json report = parse_json(read_file(path("run/report.json")), "report");
  const std::vector<std::array<std::string, 3>> tunings = {
      {"engrave", "engraved", "engrave"},
      {"verbose", "verbose", "verbose"},
      {"tune", "tuned", "tune"}};
  for (const auto& [stage, variant, tuning] : tunings) {
    EXPECT_EQ(fs::exists(path("run/" + variant +
                              "/adapter/adapter_model.safetensors")),
              recipe.has(stage))
        << stage;
    EXPECT_EQ(report["tuning"].contains(tuning), recipe.has(stage)) << stage;
    EXPECT_EQ(report["held_out"].contains(variant), recipe.has(stage)) << stage;
    if (!recipe.has(stage)) continue;
    EXPECT_GT(report["tuning"][tuning]["num_samples"], 2) << stage;
    EXPECT_LT(report["tuning"][tuning]["loss_after"],
              report["tuning"][tuning]["loss_before"])
        << stage;
  }
  for (const auto& [name, curve] : report["curves"].items()) {
    EXPECT_EQ(report["tuning"].size(), report["curves"].size());
    EXPECT_GT(curve[0]["loss"], 0.0) << name;
  }
  EXPECT_THAT(read_file(path("run/report.html")),
              testing::HasSubstr("Provenance</h2>"));
  EXPECT_TRUE(fs::exists(path("run/report.md")));
  EXPECT_TRUE(report["held_out"].contains("base"));
  EXPECT_EQ(report["held_out"].contains("prompted"), !recipe.has("tune"));
  // Once more: nothing is left to do.
  ASSERT_EQ(run(recipe), 0);
  EXPECT_EQ(output()["digest"], status["digest"]);
  // Played again it comes to the same, and so does a fork of the same recipe.
  ASSERT_EQ(selfalign("verify run"), 0) << log();
  const Json verified = output();
  EXPECT_EQ(verified["replay_end"], "");
  EXPECT_EQ(verified["digest"], status["digest"]);
  ASSERT_EQ(selfalign("resume run --fork fork"), 0) << log();
  EXPECT_EQ(output()["digest"], status["digest"]);
}

TEST_P(RecipeRun, IsHeldToItsModelAndItsAdapters) {
  if (GetParam() != "smollm2-demo") return;  // once is enough
  Recipe recipe = small();
  const auto phrases = phrases_for(
      recipe::load_prompts(recipe.prompts_folder, recipe.prompts_overlay));
  make_phrase_model(recipe.model.path, phrases);
  ASSERT_EQ(run(recipe), 0) << log();
  // The model at another place, another one, and none.
  fs::copy(path("model"), path("moved"), fs::copy_options::recursive);
  make_phrase_model(path("other"), {phrases[0]});
  fs::remove_all(path("model"));
  for (const auto& [name, code] :
       {std::pair("model", 0), {"moved", 0}, {"other", 2}, {"none", 3}}) {
    recipe.model.path = path(name);
    EXPECT_EQ(run(recipe), code) << name << log();
    EXPECT_EQ(selfalign("resume run"), 0) << log();
  }
  fs::rename(path("moved"), path("model"));
  const std::string adapter = path("run/verbose/adapter");
  for (const char* name :
       {"/adapter_model.safetensors", "/adapter_config.json"}) {
    const std::string content = read_file(adapter + name);
    write_file_atomic(adapter + name, content + "x");
    EXPECT_EQ(selfalign("chat run </dev/null"), 5) << log();
    EXPECT_THAT(log(), HasSubstr("selfalign verify run"));
    write_file_atomic(adapter + name, content);
  }
  const std::string moved = path("moved.json");
  fs::rename(adapter + "/adapter_config.json", moved);
  fs::create_symlink(moved, adapter + "/adapter_config.json");
  EXPECT_EQ(selfalign("chat run </dev/null"), 5) << log();
}

void RecipeRun::expect_model_exports() {
  for (const auto& [flags, folder, file] :
       {std::array<std::string, 3>{"--model merged", "merged",
                                   "model.safetensors"},
        {"--model gguf --type f16", "gguf", "gguf.gguf"},
        {"--model adapter --stage engraved", "adapter",
         "adapter_model.safetensors"}}) {
    SCOPED_TRACE(flags);
    const std::string command = "export run " + flags + " --output " + folder;
    ASSERT_EQ(selfalign(command), 0) << log();
    EXPECT_TRUE(fs::exists(path(folder + "/" + file)));
    EXPECT_EQ(selfalign(command), 2) << log();  // it is there
    const std::string card = read_file(path(folder + "/README.md"));
    for (const char* part :
         {"base_model: ", "license: ", "Self-Align", "Digest of the prompts",
          "1. **", "| align.answers | ", "## Evaluations", "ollama create"}) {
      EXPECT_THAT(card, HasSubstr(part));
    }
    EXPECT_THAT(read_file(path(folder + "/Modelfile")),
                HasSubstr("TEMPLATE \"\"\"{{ if .System }}"));
    const Json manifest = json_of(folder + "/manifest.json");
    EXPECT_EQ(manifest["outputs"].size() + 1, list_folder(path(folder)).size());
    EXPECT_EQ(manifest["model"]["merged"] > 0, folder != "adapter");
  }
  EXPECT_EQ(json_of("adapter/adapter_config.json")["base_model_name_or_path"],
            path("model"));
  for (const char* file : {"tokenizer.json", "chat_template.jinja"}) {
    EXPECT_EQ(read_file(path(std::string("adapter/") + file)),
              read_file(path(std::string("run/engraved/adapter/") + file)));
  }
  EXPECT_EQ(read_file(path("merged/chat_template.jinja")),
            read_file(path("run/verbose/adapter/chat_template.jinja")));
  EXPECT_EQ(json_of("merged/generation_config.json")["eos_token_id"][0], 256);
  // Of a base without a run; PEFT finds no GGUF file.
  const std::string base =
      "export gguf/gguf.gguf --adapter run/verbose/adapter --output other ";
  EXPECT_EQ(selfalign(base + "--model adapter"), 2);
  EXPECT_THAT(log(), HasSubstr("--base-name"));
  ASSERT_EQ(selfalign(base + "--model adapter --base-name org/name"), 0)
      << log();
  EXPECT_EQ(json_of("other/adapter_config.json")["base_model_name_or_path"],
            "org/name");
  EXPECT_EQ(json_of("other/tokenizer.json")["model"]["vocab"].size(),
            json_of("model/tokenizer.json")["model"]["vocab"].size() +
                json_of("model/tokenizer.json")["added_tokens"].size() - 1);
  // What makes no sense, and an adapter that is not what the run made.
  EXPECT_EQ(selfalign("export run --model merged --type q8_0 --output x"), 2);
  EXPECT_EQ(selfalign("export model --model adapter --output x"), 2);
  EXPECT_EQ(selfalign("export model --model merged --stage verbose --output x"),
            2);
  EXPECT_EQ(selfalign("export run --model gguf --form alpaca --output x"), 2);
  EXPECT_EQ(selfalign("export run --model merged --stage tuned --output x"), 3);
  const std::string name = path("run/verbose/adapter/selfalign.json");
  write_file_atomic(name, read_file(name) + " ");
  EXPECT_EQ(selfalign("export run --model merged --output x"), 5) << log();
  EXPECT_FALSE(fs::exists(path("x")));
  EXPECT_FALSE(fs::exists(path("x.partial")));
}

// Stage 3 trains all weights, stage 4 an adapter: what the first made answers,
// is replayed, taken over by a fork and exported as the adapter is.
TEST_P(RecipeRun, TrainsAllWeightsWhereTheRecipeSaysSo) {
  if (GetParam() != "smollm2-demo") return;  // once is enough
  Recipe recipe = small();
  recipe.engrave.method = "full";
  recipe.final.method = "full";
  make_phrase_model(recipe.model.path,
                    phrases_for(recipe::load_prompts(recipe.prompts_folder,
                                                     recipe.prompts_overlay)));
  ASSERT_EQ(run(recipe), 0) << log();
  const Json status = output();
  EXPECT_EQ(status["done"], true);
  for (const char* folder : {"run/engraved/", "run/verbose/"}) {
    EXPECT_TRUE(fs::exists(path(str(folder, "model/model.safetensors"))));
    EXPECT_FALSE(fs::exists(path(str(folder, "adapter"))));
    EXPECT_EQ(json_of(str(folder, "model/config.json"))["model_type"], "llama");
  }
  ASSERT_EQ(selfalign("verify run"), 0) << log();
  EXPECT_EQ(output()["digest"], status["digest"]);
  ASSERT_EQ(selfalign("resume run --fork fork"), 0) << log();
  EXPECT_EQ(output()["digest"], status["digest"]);

  // Asked by way of the run, and as a model of its own, it answers alike.
  const auto answer = [&](const std::string& model) {
    EXPECT_EQ(selfalign("chat " + model + " --max-tokens 8 <question"), 0)
        << log();
    return output()["answer"];
  };
  write_file_atomic(path("question"), "What is it?\n");
  const Json want = answer("run");
  EXPECT_EQ(answer("run/verbose/model"), want);
  EXPECT_EQ(answer("model --adapter run/verbose/model"), want);
  ASSERT_EQ(selfalign("export run --model gguf --type f32 --output gguf"), 0)
      << log();
  EXPECT_EQ(answer("gguf/gguf.gguf --adapter run/verbose/model"), want);
  ASSERT_EQ(selfalign("export run --model merged --output merged"), 0) << log();
  EXPECT_EQ(answer("merged"), want);
  EXPECT_THAT(read_file(path("merged/README.md")),
              HasSubstr("all of its weights were trained"));
  EXPECT_EQ(selfalign("export run --model adapter --output x"), 2) << log();
  EXPECT_THAT(log(), HasSubstr("use --model merged or gguf"));
  // The tensors that were exported are those that were tuned.
  const auto score = [&](const std::string& model) {
    write_file_atomic(path("texts"), dump_json({{"context", "What is it?"},
                                                {"continuations", {" ab"}}}));
    EXPECT_EQ(selfalign("score --model " + model + " <texts"), 0) << log();
    return output()["continuations"][0]["sum"];
  };
  const Json tuned = score("run/verbose/model");
  EXPECT_NE(score("model"), tuned);
  EXPECT_EQ(score("merged"), tuned);
  EXPECT_EQ(score("gguf/gguf.gguf"), tuned);
  for (const char* file : {"config.json", "model.safetensors"}) {
    const std::string name = path(str("run/verbose/model/", file));
    const std::string content = read_file(name);
    write_file_atomic(name, content + "x");
    EXPECT_EQ(selfalign("chat run <question"), 5) << log();
    write_file_atomic(name, content);
  }
}

// A command trains: here one that gives what a run before it trained, once it
// was asked twice. What it says and makes is the run's as if it were its own.
TEST_P(RecipeRun, LetsACommandTrain) {
  if (GetParam() != "smollm2-demo") return;  // once is enough
  Recipe recipe = small();
  make_phrase_model(recipe.model.path,
                    phrases_for(recipe::load_prompts(recipe.prompts_folder,
                                                     recipe.prompts_overlay)));
  recipe.run_folder = path("first");
  ASSERT_EQ(run(recipe), 0) << log();
  write_file_atomic(path("trainer.sh"), R"sh(set -e
echo training
[ -e asked ] || { touch asked; exit 75; }
[ ! -e ../../../broken ] || { echo no GPU here >&2; exit 3; }
tuning=$(basename "$(dirname "$PWD")")
cp -r "../../../first/$tuning/adapter" adapter
cp "../../../first/$tuning/metrics.jsonl" .
set -- $(sed -n 's/.*"sha256": "\(.*\)".*/\1/p' handoff.json)
printf '{"format": "selfalign handoff result 1", "steps": %s, "samples_sha256":
  "%s", "steps_sha256": "%s"
}' "$(wc -l <steps.jsonl)" "$1" "$3" >result.json
)sh");
  recipe.run_folder = path("run");
  recipe.train = {"command", "sh " + path("trainer.sh")};
  // It asks to be started again; a run folder's command wants a word.
  EXPECT_EQ(run(recipe), 75) << log();
  EXPECT_THAT(log(), HasSubstr("resume"));
  EXPECT_EQ(selfalign("resume run"), 2) << log();
  EXPECT_THAT(log(), HasSubstr("--allow-command"));
  write_file_atomic(path("broken"), "");
  EXPECT_EQ(selfalign("resume run --allow-command"), 1) << log();
  EXPECT_THAT(log(), HasSubstr("ended with status 3"));
  EXPECT_THAT(log(), HasSubstr("no GPU here"));
  fs::remove(path("broken"));
  // Stage 4's tuning asks once, too.
  EXPECT_EQ(selfalign("resume run --allow-command"), 75) << log();
  EXPECT_EQ(run(recipe), 0) << log();
  const Json status = output();
  EXPECT_EQ(status["done"], true);
  for (const char* tuning : {"engraved", "verbose"}) {
    const std::string file =
        str("/", tuning, "/adapter/", "adapter_model.safetensors");
    EXPECT_EQ(read_file(path("run" + file)), read_file(path("first" + file)));
    EXPECT_EQ(read_file(path(str("run/", tuning, "/metrics.jsonl"))),
              read_file(path(str("first/", tuning, "/metrics.jsonl"))));
    EXPECT_THAT(read_file(path(str("run/", tuning, "/handoff/log.txt"))),
                HasSubstr("training\n"));
  }
  ASSERT_EQ(selfalign("verify run"), 0) << log();
  // The same recipe without the command takes all of it over.
  recipe.train = {};
  EXPECT_EQ(run(recipe), 0) << log();
  EXPECT_EQ(output()["digest"], status["digest"]);
}

// What somebody trained by hand is the next tuning, if it is one.
TEST_P(RecipeRun, AdoptsAnAdapter) {
  if (GetParam() != "smollm2-demo") return;  // once is enough
  Recipe recipe = small();
  make_phrase_model(recipe.model.path,
                    phrases_for(recipe::load_prompts(recipe.prompts_folder,
                                                     recipe.prompts_overlay)));
  recipe.run_folder = path("first");
  ASSERT_EQ(run(recipe), 0) << log();
  EXPECT_EQ(selfalign("adopt first first/engraved/adapter"), 2) << log();
  recipe.run_folder = path("run");
  recipe.train = {"command", "exit 75"};
  EXPECT_EQ(run(recipe), 75) << log();
  EXPECT_EQ(selfalign("adopt run first/engraved/adapter"), 2) << log();
  EXPECT_THAT(log(), HasSubstr("--allow-command"));
  const auto adopt = [&](const std::string& folder) {
    return selfalign("adopt run " + folder + " --allow-command");
  };
  EXPECT_EQ(adopt("nothing"), 3) << log();
  EXPECT_EQ(adopt("run/engraved/handoff/initial"), 1) << log();  // no gain
  EXPECT_FALSE(fs::exists(path("run/engraved/adapter")));
  EXPECT_EQ(adopt("first/engraved/adapter"), 75) << log();  // stage 4's asks
  EXPECT_TRUE(fs::exists(path("run/engraved/adapter")));
  // Nothing is left that a command would train.
  EXPECT_EQ(selfalign("adopt run first/verbose/adapter"), 0) << log();
  EXPECT_EQ(output()["done"], true);
  EXPECT_THAT(read_file(path("run/report.md")),
              HasSubstr("by hand: " + path("first/verbose/adapter")));
  EXPECT_EQ(selfalign("verify run"), 0) << log();
}

TEST_P(RecipeRun, IsAblatedAnalysedAndExported) {
  if (GetParam() != "smollm2-demo") return;  // once is enough
  const Recipe recipe = small();
  make_phrase_model(recipe.model.path,
                    phrases_for(recipe::load_prompts(recipe.prompts_folder,
                                                     recipe.prompts_overlay)));
  ASSERT_EQ(run(recipe), 0) << log();
  // The real engine gives every text again: same draws, same bits.
  ASSERT_EQ(selfalign("ablate run"), 0) << log();
  EXPECT_EQ(output()["rows"], 10);
  EXPECT_EQ(output()["texts_changed"], 0);
  ASSERT_EQ(
      selfalign("ablate -n 4 --drop-rule 3 --add-rule 'tidy: Be tidy.' run"), 0)
      << log();
  EXPECT_EQ(output()["rows"], 4);
  EXPECT_EQ(output()["rules"].size(), 17u);
  ASSERT_EQ(selfalign("principles run"), 0);
  EXPECT_EQ(output()["rules"][1]["kept"], output()["kept"]);
  for (const char* form : {"messages", "parquet"}) {
    ASSERT_EQ(selfalign(str("export run --form ", form, " --output ", form)), 0)
        << log();
    EXPECT_EQ(output()["files"].size(), 7u);  // two of the prompt
    EXPECT_TRUE(fs::exists(path(form) + "/manifest.json"));
  }
  expect_model_exports();
}

INSTANTIATE_TEST_SUITE_P(Recipes, RecipeRun, testing::ValuesIn(recipe_names()),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace selfalign
