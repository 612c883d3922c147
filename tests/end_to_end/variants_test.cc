// SPDX-License-Identifier: Apache-2.0
// The paper's variants over a scripted generator: subsets of the stages, given
// prompts, a baseline on given conversations, other prompts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "recipe/prompts.h"
#include "replay/profiles.h"
#include "replay/verify.h"
#include "replay/whole_run.h"
#include "scripted_runs.h"
#include "stages/funnel.h"
#include "stages/instructions.h"
#include "stages/pipeline.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using recipe::Recipe;
using store::Reader;
using store::Store;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class VariantsTest : public ScriptedRunsTest {
 protected:
  Recipe recipe(const std::string& name, std::vector<std::string> stages) {
    Recipe recipe = small_recipe(path(name));
    recipe.stages = std::move(stages);
    return recipe;
  }

  std::unique_ptr<Reader> open(const Recipe& recipe) const {
    return Reader::open(recipe.run_folder);
  }
};

// The stages that `store` has committed and whose name starts with `prefix`.
std::vector<std::string> committed(const Reader& store,
                                   const std::string& prefix) {
  std::vector<std::string> names;
  for (const store::Manifest& manifest : store.manifests()) {
    if (manifest.stage.starts_with(prefix)) names.push_back(manifest.stage);
  }
  return names;
}

std::string digest_of(const Reader& store, const std::string& stage) {
  const auto manifest = store.manifest(stage);
  return manifest ? manifest->digest : "none";
}

Json rejected(const Reader& store, const std::string& stage) {
  return store.manifest(stage)->report["rejected"];
}

std::string dialogue(
    std::initializer_list<std::pair<const char*, const char*>> turns) {
  Json list = Json::array();
  for (const auto& [from, value] : turns) {
    list.push_back({{"from", from}, {"value", value}});
  }
  return dump_json({{"conversations", list}}) + "\n";
}

// Dromedary (non-verbose) is Dromedary up to its third stage, row for row.
TEST_F(VariantsTest, NonVerboseIsTheWholeMethodWithoutItsLastStage) {
  const Recipe whole =
      recipe("whole", {"instruct", "align", "engrave", "verbose"});
  const Recipe shorter = recipe("shorter", {"instruct", "align", "engrave"});
  run(whole);
  run(shorter);
  const auto a = open(whole);
  const auto b = open(shorter);
  for (const char* stage : {"instruct.tasks", "align.pairs", "engrave.adapter",
                            "held_out.engraved.pairs", "held_out.base.loss"}) {
    EXPECT_EQ(digest_of(*a, stage), digest_of(*b, stage)) << stage;
    EXPECT_NE(digest_of(*a, stage), "none") << stage;
  }
  EXPECT_THAT(committed(*b, "verbose."), ElementsAre());
  EXPECT_THAT(committed(*b, "held_out.verbose"), ElementsAre());
  const std::string report = read_file(path("shorter") + "/report.txt");
  EXPECT_THAT(report, HasSubstr("engraved"));
  EXPECT_THAT(report, Not(HasSubstr("verbose")));
}

// Dromedary-2: given prompts in place of stage 1.
TEST_F(VariantsTest, GivenInstructionsTakeThePlaceOfStageOne) {
  const std::string held_out =
      recipe::load_prompts("prompts").held_out[0].instruction;
  std::string text;
  for (const std::string& line :
       {std::string("Explain why the moon has phases to a child."),
        std::string("Explain why the moon has phases to a child!"),
        std::string("Go"), std::string("Draw a picture of a house."), held_out,
        std::string("Name three rivers of Europe and where they end."),
        std::string("How does a baker know that the bread is done?"),
        std::string("Write a short poem about a lamp and its shadow."),
        std::string("Never read because of max_rows.")}) {
    text += dump_json({{"prompt", line}}) + "\n";
  }
  Recipe recipe = this->recipe("a", {"align", "engrave"});
  recipe.instructions = {write("prompts.jsonl", text), 8};
  const std::string digest = run(recipe);
  const auto store = open(recipe);
  EXPECT_THAT(committed(*store, "instruct."), ElementsAre());
  EXPECT_THAT(committed(*store, "redteam."), ElementsAre());
  EXPECT_EQ(store->num_rows("given.instructions"), 8);
  EXPECT_EQ(rejected(*store, "given.instructions"), Json({{"contaminated", 1},
                                                          {"duplicate", 1},
                                                          {"not_text", 1},
                                                          {"too_short", 1}}));
  const auto kept = stages::kept_instructions(*store);
  ASSERT_EQ(kept.size(), 4u);
  EXPECT_EQ(kept[1].content["instruction"],
            "Name three rivers of Europe and where they end.");
  EXPECT_EQ(store->manifest("align.answers")->num_rows, 4);
  EXPECT_THAT(committed(*store, "engrave."),
              ElementsAre("engrave.samples", "engrave.adapter"));

  Recipe narrow = recipe;
  narrow.run_folder = path("b");
  WorldOptions one_slot;
  one_slot.num_slots = 1;
  EXPECT_EQ(run(narrow, one_slot), digest);
}

// Profile paper cleans given prompts as Dromedary-2 does: by length in tokens
// and for equal texts only.
TEST_F(VariantsTest, ThePaperProfileKeepsWhatIsMerelyAlike) {
  Recipe recipe = this->recipe("a", {"align"});
  recipe.profile = "paper";
  std::string much;
  for (int i = 0; i < 300; ++i) much += "word ";
  recipe.instructions.path =
      write("p.txt",
            "Explain why the moon has phases to a child.\n"
            "Explain why the moon has phases to a child!\nGo\n" +
                much + "\nExplain why the moon has phases to a child.\n");
  auto store = stages::open_run(recipe);
  ScriptedWorkbench workbench({});
  try {
    replay::run_to_end(recipe, workbench, *store);
  } catch (const Error&) {  // whether an answer is kept is not what is asked
  }
  EXPECT_EQ(rejected(*store, "given.instructions"),
            Json({{"duplicate", 1}, {"too_long", 1}, {"too_short", 1}}));
}

// The scripted model as a server's, where each text that is counted by
// count_tokens would be a request.
class ServersModel final : public generate::Generator {
 public:
  explicit ServersModel(std::unique_ptr<generate::Generator> model)
      : model_(std::move(model)) {}
  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    model_->generate(next, done);
  }
  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    return model_->score(requests);
  }
  std::string fingerprint() const override { return model_->fingerprint(); }
  int count_tokens(const std::string& text) const override {
    ADD_FAILURE() << "asked for the tokens of: " << text;
    return model_->count_tokens(text);
  }
  int count_part(const generate::Completion& whole,
                 const std::string& part) const override {
    return model_->count_part(whole, part);
  }

 private:
  const std::unique_ptr<generate::Generator> model_;
};

class ServersWorkbench final : public stages::Workbench {
 public:
  std::unique_ptr<generate::Generator> open_generator(
      const recipe::ModelOptions& model, const std::string& adapter) override {
    return std::make_unique<ServersModel>(
        scripted_.open_generator(model, adapter));
  }
  std::vector<bool> fit(
      const recipe::ModelOptions& model, const TuneOptions& options,
      const std::vector<stages::TrainingSample>& samples) override {
    return scripted_.fit(model, options, samples);
  }
  stages::TuneReport tune(const recipe::ModelOptions& model,
                          const TuneOptions& options,
                          const recipe::TrainerOptions& trainer,
                          const std::vector<stages::TrainingSample>& samples,
                          const std::string& folder) override {
    return scripted_.tune(model, options, trainer, samples, folder);
  }

 private:
  ScriptedWorkbench scripted_{{}};
};

// Nor does whoever plays the run again, who has no server.
TEST_F(VariantsTest, AServerIsNotAskedForTheTokensOfGivenPrompts) {
  Recipe recipe = this->recipe("a", {"align"});
  recipe.profile = "paper2";
  recipe.model.path = "http://127.0.0.1:1/v1#none";
  std::string prompts;
  for (int i = 0; i < 20; ++i) prompts += str("Say what thing ", i, " is.\n");
  std::string much;  // 77 words, of 257 tokens by their bytes
  for (int i = 0; i < 77; ++i) much += "extremely ";
  recipe.instructions.path = write("p.txt", prompts + much + "\nGo\n");
  auto store = stages::open_run(recipe);
  ServersWorkbench workbench;
  replay::run_to_end(recipe, workbench, *store);
  EXPECT_EQ(rejected(*store, "given.instructions"),
            Json({{"too_long", 1}, {"too_short", 1}}));
  store.reset();
  const replay::Verification verification = replay::verify_run(path("a"));
  EXPECT_TRUE(verification.problems.empty())
      << replay::verification_text(verification);
  EXPECT_GT(verification.num_replayed, 2);
}

// Killed at every commit, the same command comes to the same digest.
TEST_F(VariantsTest, GivenDataSurvivesAKillAtEveryCommit) {
  const std::string prompts =
      "Say what a river is.\nName three lamps for a dark kitchen.\n"
      "How long does bread keep?\nWrite two lines about an old bridge.\n"
      "Why do falcons hunt alone?\nWhere were the first magnets found?\n"
      "Compare a glacier with a lake.\nInvent a name for a small boat.\n";
  Recipe dromedary2 = recipe("d", {"align", "engrave"});
  dromedary2.instructions.path = write("p.txt", prompts);
  Recipe baseline = recipe("t", {"tune"});
  baseline.data.path =
      write("d.jsonl", dialogue({{"human", "Hi"}, {"gpt", "Hello"}}));
  for (Recipe whole : {dromedary2, baseline}) {
    const std::string digest = run(whole);
    int point = 0;
    for (bool killed = true; killed;) {
      whole.run_folder = path("killed." + std::to_string(++point));
      killed = run_and_kill(whole, point);
      ASSERT_EQ(run(whole), digest) << "killed at commit " << point;
      fs::remove_all(whole.run_folder);
    }
    EXPECT_GT(point, 10);
  }
}

TEST_F(VariantsTest, AnotherGivenFileIsRefusedAndAFinishedOneMayBeGone) {
  Recipe recipe = this->recipe("a", {"align", "engrave"});
  recipe.instructions.path =
      write("p.txt", "Name three rivers of Europe.\nSay what a lamp is for.\n");
  const std::string digest = run(recipe);
  write("p.txt", "Say what a lamp is for.\n");
  EXPECT_THAT(error_of([&] { run(recipe); }).what(),
              HasSubstr("p.txt: expected the file this run was begun with"));
  // A run that is done is only opened.
  EXPECT_THAT(error_of([&] { stages::open_run(recipe); }).what(),
              HasSubstr("p.txt: expected the file this run was begun with"));
  fs::remove(path("p.txt"));
  EXPECT_EQ(run(recipe), digest);
  recipe.run_folder = path("b");
  EXPECT_THAT(error_of([&] { run(recipe); }).what(), HasSubstr("p.txt"));
}

// Vicuna-style: many turns, loss on every answer; what cannot be used is
// rejected with a reason.
TEST_F(VariantsTest, ABaselineIsTunedOnGivenConversations) {
  Recipe recipe = this->recipe("a", {"tune"});
  recipe.data.path = write(
      "sharegpt.jsonl",
      dialogue({{"human", "Hi"},
                {"gpt", "Hello"},
                {"human", "Why?"},
                {"gpt", "So."},
                {"human", "unanswered"}}) +
          dialogue({{"gpt", "cut begin"}, {"human", "q"}, {"gpt", "a"}}) +
          dialogue({{"system", "Be brief."}, {"human", "r"}, {"gpt", "b"}}) +
          dialogue({{"human", "r"}, {"human", "s"}, {"gpt", "b"}}) +
          dialogue({{"human", "r"}, {"gpt", " \n"}}) +
          dialogue({{"human", "r"}}) + dialogue({}));
  run(recipe);
  const auto store = open(recipe);
  EXPECT_EQ(store->num_rows("given.conversations"), 7);
  EXPECT_EQ(rejected(*store, "given.conversations"),
            Json({{"no_answer", 3}, {"out_of_turn", 1}}));
  EXPECT_THAT(profiles_text(replay::profiles_report(*store, 0)),
              HasSubstr("profiles judge no row"));
  ASSERT_EQ(samples().size(), 3u);
  ASSERT_EQ(samples()[0].turns.size(), 2u);
  const recipe::ChatPrompt prompt = recipe::load_prompts("prompts").tuned;
  EXPECT_EQ(samples()[0].turns[0].prompt,
            prompt.prompt + recipe::chat_turn(prompt, "Hi"));
  EXPECT_EQ(samples()[0].turns[1].prompt,
            prompt.between + recipe::chat_turn(prompt, "Why?"));
  EXPECT_EQ(samples()[0].turns[1].response, "So.");
  EXPECT_TRUE(samples()[0].turns[0].ends && samples()[0].turns[1].ends);
  EXPECT_EQ(samples()[1].turns[0].response, "a");
  EXPECT_EQ(samples()[2].turns[0].prompt,
            "Be brief.\n\n" + recipe::chat_turn(prompt, "r"));
  EXPECT_THAT(committed(*store, "tune."),
              ElementsAre("tune.samples", "tune.adapter"));
  EXPECT_THAT(committed(*store, "held_out."),
              ElementsAre("held_out.questions", "held_out.base.answers",
                          "held_out.base.pairs", "held_out.tuned.answers",
                          "held_out.tuned.pairs"));
  const std::string file = path("a") + "/tuned/adapter/selfalign.json";
  EXPECT_EQ(parse_json(read_file(file), file)["base"],
            store->meta("fingerprint.base").value());
  const std::string report = read_file(path("a") + "/report.txt");
  EXPECT_THAT(report, HasSubstr("tuned on given data"));
  EXPECT_THAT(report, HasSubstr("tune "));
}

// Nothing is kept of such a file: the same folder goes on with a better one.
TEST_F(VariantsTest, ABaselineWithoutAUsableRowSaysSo) {
  Recipe recipe = this->recipe("a", {"tune"});
  recipe.data.path = write("d.jsonl", dialogue({{"human", "r"}}) + "{}\n");
  const Error error = error_of([&] { run(recipe); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.what(), HasSubstr("d.jsonl: 2 of 2 rows are left out: "
                                      "1 no_answer, 1 unreadable"));
  EXPECT_THAT(error.what(), HasSubstr("d.jsonl: line 1: no_answer"));
  write("d.jsonl", dialogue({{"human", "r"}, {"gpt", "a"}}));
  run(recipe);
  EXPECT_EQ(samples().size(), 1u);
}

// Rows that cannot be read or used are counted, and the others go on.
TEST_F(VariantsTest, ABaselineGoesOnWithoutTheBadRows) {
  Recipe recipe = this->recipe("a", {"tune"});
  recipe.data.path = write(
      "d.jsonl",
      dialogue({{"Human", "q"}, {"bing", "a"}}) + "{\"conversations\": [\n" +
          dialogue({{"human", "q"}, {"observation", "1"}, {"gpt", "a"}}) +
          "{\"instruction\": \"q\", \"output\": \"b\", \"system\": \"S\", "
          "\"history\": [[\"p\", \"o\"]]}\n" +
          "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, "
          "{\"role\": \"assistant\", \"content\": \"w\", \"weight\": 0}, "
          "{\"role\": \"user\", \"content\": \"r\"}, "
          "{\"role\": \"assistant\", \"content\": \"c\"}]}\n"
          "{\"prompt\": \"q\", \"completion\": \"a\", \"weight\": 0}\n");
  run(recipe);
  const auto store = open(recipe);
  EXPECT_EQ(store->num_rows("given.conversations"), 6);
  EXPECT_EQ(rejected(*store, "given.conversations"),
            Json({{"not_learnt", 1}, {"unreadable", 1}, {"unsupported", 1}}));
  const recipe::ChatPrompt prompt = recipe::load_prompts("prompts").tuned;
  const auto ask = [&](const char* text) {
    return recipe::chat_turn(prompt, text);
  };
  ASSERT_EQ(samples().size(), 3u);
  EXPECT_EQ(samples()[0].turns[0].response, "a");
  ASSERT_EQ(samples()[1].turns.size(), 2u);
  EXPECT_EQ(samples()[1].turns[0].prompt, "S\n\n" + ask("p"));
  EXPECT_EQ(samples()[1].turns[1].prompt, prompt.between + ask("q"));
  ASSERT_EQ(samples()[2].turns.size(), 2u);
  EXPECT_EQ(samples()[2].turns[0].prompt, prompt.prompt + ask("q"));
  EXPECT_EQ(samples()[2].turns[0].response, "w");
  EXPECT_FALSE(samples()[2].turns[0].learn);
  EXPECT_EQ(samples()[2].turns[1].prompt, prompt.between + ask("r"));
  EXPECT_EQ(samples()[2].turns[1].response, "c");
  EXPECT_TRUE(samples()[2].turns[1].learn);
}

TEST_F(VariantsTest, GivenInstructionsGoOnWithoutTheBadRows) {
  Recipe recipe = this->recipe("a", {"align"});
  recipe.instructions.path =
      write("p.jsonl",
            "{\"prompt\": \"Name three rivers of Europe.\"}\n{\"id\": 3}\n");
  run(recipe);
  const auto store = open(recipe);
  EXPECT_EQ(rejected(*store, "given.instructions"), Json({{"unreadable", 1}}));
  EXPECT_EQ(stages::kept_instructions(*store).size(), 1u);
}

TEST_F(VariantsTest, ThePromptedBaseTrainsNothing) {
  const Recipe recipe = this->recipe("a", {});
  std::map<uint64_t, std::string> prompts;  // before the question
  WorldOptions world;
  world.on_request = [&prompts](const generate::Request& request) {
    prompts[request.key] = request.prefix ? *request.prefix : "";
  };
  run(recipe, world);
  const auto store = open(recipe);
  EXPECT_THAT(committed(*store, ""),
              ElementsAre("held_out.questions", "held_out.base.answers",
                          "held_out.base.pairs", "held_out.prompted.answers",
                          "held_out.prompted.pairs", "held_out.short.answers",
                          "held_out.short.pairs"));
  const recipe::Prompts own = recipe::load_prompts("prompts");
  const std::pair<std::string, std::string> variants[] = {
      {"base", ""},
      {"prompted", recipe::align_prefix(own)},
      {"short", own.engraved.prompt}};
  for (const auto& [variant, prompt] : variants) {
    const auto rows = store->rows("held_out." + variant + ".answers");
    EXPECT_EQ(int64_t(rows.size()), recipe.num_held_out);
    for (const store::Row& row : rows) {
      EXPECT_EQ(prompts.at(row.key), prompt) << variant;
    }
  }
}

// The overlay's files stand in place of the others, in the run's copy too, with
// which it goes on when both folders are gone.
TEST_F(VariantsTest, AnOverlayReplacesPrompts) {
  Recipe recipe = this->recipe("a", {"align"});
  recipe.instructions.path = write("p.txt", "Name three rivers of Europe.\n");
  const std::string over = path("over");
  recipe.prompts_overlay = {over};
  fs::copy("prompts/dromedary2", over);
  const std::string digest = run(recipe);
  const recipe::Prompts used = recipe::load_prompts(path("a") + "/prompts");
  EXPECT_EQ(used.principles.size(), 17u);
  EXPECT_EQ(used.principles.back().name, "multilingual");
  EXPECT_EQ(used.exemplars.size(), 6u);
  EXPECT_EQ(used.digest,
            recipe::load_prompts("prompts", recipe.prompts_overlay).digest);
  EXPECT_NE(used.digest, recipe::load_prompts("prompts").digest);
  fs::remove_all(over);
  EXPECT_EQ(run(recipe), digest);

  recipe.run_folder = path("b");
  EXPECT_THAT(error_of([&] { run(recipe); }).what(),
              HasSubstr("over (prompts_overlay): no such folder"));
  make_folder(over);
  write("over/principle.yaml", "principles: []\n");
  EXPECT_THAT(error_of([&] { run(recipe); }).what(),
              HasSubstr("did you mean \"principles.yaml\"?"));
}

}  // namespace
}  // namespace selfalign::tests
