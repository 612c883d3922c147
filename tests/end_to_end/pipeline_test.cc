// SPDX-License-Identifier: Apache-2.0
// The four stages over a scripted generator: byte for byte the same in any
// order of arrival and after kill -9 at every commit point.
#include "stages/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "inspect/summary.h"
#include "inspect/trace.h"
#include "parse/filters.h"
#include "parse/thoughts.h"
#include "recipe/annotations.h"
#include "recipe/profile.h"
#include "recipe/run_files.h"
#include "replay/whole_run.h"
#include "report/differences.h"
#include "scripted_runs.h"
#include "stages/funnel.h"
#include "stages/instructions.h"
#include "stages/principles.h"
#include "stages/rounds.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using recipe::Recipe;
using store::Reader;
using ::testing::HasSubstr;

class PipelineTest : public ScriptedRunsTest {
 protected:
  using Tweak = std::function<void(Recipe&)>;

  Recipe recipe_of(const std::string& name, const Tweak& tweak = {}) const {
    Recipe recipe = small_recipe(path(name));
    if (tweak) tweak(recipe);
    return recipe;
  }
  std::string run(const std::string& name, WorldOptions options = {},
                  const Tweak& tweak = {}) {
    return ScriptedRuns::run(recipe_of(name, tweak), std::move(options));
  }
  bool run_and_kill(const std::string& name, int kill_at, int kill_after = 0,
                    const Tweak& tweak = {}) const {
    return ScriptedRuns::run_and_kill(recipe_of(name, tweak), kill_at,
                                      kill_after);
  }
  Json summary(const std::string& name) const {
    return to_json(
        inspect::run_summary(recipe::run_recipe(path(name)), *open(name)));
  }
};

// Everything the digests cover, as text.
std::string contents(const Reader& store) {
  std::string text;
  for (const store::Manifest& manifest : store.manifests()) {
    text += str("# ", manifest.stage, " ", manifest.num_rows, " ",
                manifest.num_kept, " ", manifest.digest, " ",
                dump_json(manifest.report), "\n");
    for (const store::Row& row : store.rows(manifest.stage)) {
      if (row.seq >= manifest.num_rows) break;
      text += str(key_to_hex(row.key), " ", dump_json(row.content), "\n");
      if (const auto stored = store.completion(row.key)) {
        text += str("  ", stored->completion.text, "|", stored->thought, "|",
                    stored->completion.logprob, "\n");
      }
      for (const store::Verdict& verdict : store.verdicts(row.key)) {
        text += str("  ", verdict.filter, verdict.kept, verdict.reason,
                    verdict.detail, "\n");
      }
    }
  }
  return text;
}

// Of the error that says `text`.
ErrorKind kind_of(const std::function<void()>& fn, const std::string& text) {
  const Error error = error_of(fn);
  EXPECT_THAT(error.what(), HasSubstr(text));
  return error.kind();
}

TEST_F(PipelineTest, IsTheSameInAnyOrderOfArrival) {
  const std::string digest = run("a");
  WorldOptions narrow;
  narrow.num_slots = 1;
  WorldOptions wide;
  wide.num_slots = 23;
  EXPECT_EQ(run("b", narrow), digest);
  EXPECT_EQ(run("c", wide), digest);
  const std::string text = contents(*open("a"));
  EXPECT_GT(text.size(), 10000u);
  EXPECT_EQ(contents(*open("b")), text);
  EXPECT_EQ(contents(*open("c")), text);
  Json one = summary("a"), other = summary("c");
  for (Json* each : {&one, &other}) each->erase("model");  // in another folder
  EXPECT_EQ(one, other);
}

// Far more requests are planned than were answered.
TEST_F(PipelineTest, IsTheSameWhereAServerTakesHundredsAtATime) {
  const auto many = [](Recipe& recipe) {
    recipe.instruct.num_instructions = 600;
    recipe.stages = {"instruct"};
  };
  WorldOptions wide;
  wide.num_slots = 300;
  EXPECT_EQ(run("a", wide, many), run("b", {}, many));
}

TEST_F(PipelineTest, EveryStageKeepsAndRejects) {
  // So many that every kind of row is among them, whatever the keys.
  run("a", {}, [](Recipe& recipe) { recipe.instruct.num_instructions = 60; });
  const auto store = open("a");
  EXPECT_EQ(store->manifest("instruct.seeds")->num_rows, 175);
  EXPECT_EQ(store->manifest("instruct.tasks")->num_kept, 60);
  EXPECT_EQ(store->manifest("redteam.questions")->num_kept, 6);
  EXPECT_EQ(stages::kept_instructions(*store).size(), 66u);
  const store::Manifest answers = *store->manifest("align.answers");
  EXPECT_EQ(answers.num_rows, 66);
  EXPECT_GT(answers.num_kept, 0);
  EXPECT_LT(answers.num_kept, 66);
  EXPECT_EQ(answers.num_kept, store->manifest("align.pairs")->num_rows);
  // All pairs are learned; stage 4 answers what stage 2 failed at, too.
  int64_t num_learned = 0;
  for (const store::Row& row : store->rows("engrave.samples")) {
    num_learned += row.content["source"] == "align.pairs";
  }
  EXPECT_EQ(num_learned, answers.num_kept);
  std::set<uint64_t> asked;
  for (const store::Row& row : store->rows("verbose.answers")) {
    asked.insert(row.parents.at(0));
  }
  for (const store::Row& row : stages::kept_instructions(*store)) {
    EXPECT_TRUE(asked.contains(row.key));
  }
  std::set<std::string> reasons;
  for (const store::Manifest& manifest : store->manifests()) {
    for (const auto& [reason, count] : stages::funnel_of(manifest).rejected) {
      reasons.insert(reason);
    }
  }
  for (const char* reason :
       {"malformed", "not_text", "too_short", "no_answer", "repetition"}) {
    EXPECT_TRUE(reasons.contains(reason)) << reason;
  }
  const Json rules = store->manifest("align.pairs")->report["rules_fired"];
  EXPECT_EQ(rules["2"], store->manifest("align.pairs")->num_rows);
  const Json forms = store->manifest("align.pairs")->report["rule_forms"];
  for (const char* form : {"whole", "number_only", "wrong_number"}) {
    EXPECT_GT(forms[form], 0) << form;
  }
  for (const char* variant : {"base", "prompted", "engraved", "verbose"}) {
    const auto pairs = store->manifest(str("held_out.", variant, ".pairs"));
    EXPECT_GT(pairs->num_rows, 0) << variant;
    EXPECT_GT(pairs->report["mean_answer_tokens_of_all"], 1.0) << variant;
  }
}

// Exemplars from the run's own tasks: what a request shows depends on tasks
// kept before, but not on when they came.
TEST_F(PipelineTest, BootstrapIsTheSameInAnyOrderAndAfterKills) {
  const auto tweak = [](Recipe& recipe) {
    recipe.instruct.num_exemplars = 3;
    recipe.instruct.num_machine_exemplars = 2;
    recipe.instruct.num_instructions = 500;
  };
  const std::string digest = run("a", {}, tweak);
  WorldOptions wide;
  wide.num_slots = 150;
  EXPECT_EQ(run("b", wide, tweak), digest);
  for (const int after : {40, 150}) {
    EXPECT_TRUE(run_and_kill("c", 0, after, tweak));
  }
  EXPECT_EQ(run("c", {}, tweak), digest);

  const auto store = open("a");
  int64_t num_machine = 0;
  for (const store::Row& row : store->rows("instruct.requests")) {
    ASSERT_EQ(row.parents.size(), 5u);
    for (const uint64_t parent : row.parents) {
      const store::Row shown = *store->row(parent);
      if (shown.stage != "instruct.tasks") continue;
      ++num_machine;
      EXPECT_TRUE(store->verdicts(parent).at(0).kept);
      // Of a request that had to be accepted before this one was planned.
      EXPECT_LT(store->row(shown.parents.at(0))->seq,
                stages::known_before(row.seq));
    }
  }
  EXPECT_GT(num_machine, 20);
}

TEST_F(PipelineTest, QuotasGiveEveryQuestionTypeItsShare) {
  run("a", {}, [](Recipe& recipe) { recipe.instruct.num_red_team = 60; });
  const auto store = open("a");
  std::map<std::string, int> of_type;
  for (const store::Row& row :
       store->kept("redteam.questions",
                   recipe::profile_named("default").instruct_filter)) {
    ++of_type[row.content["type"]];
  }
  EXPECT_EQ(of_type.size(), 20u);
  for (const auto& [type, number] : of_type) EXPECT_EQ(number, 3) << type;
  const Json report = summary("a");
  EXPECT_EQ(report["red_team"]["balance"], "quota");
  EXPECT_EQ(report["red_team"]["types"].size(), 20u);
}

TEST_F(PipelineTest, SamplesCarryNoPrinciplesAndTheTextOfThePairs) {
  run("a");
  const auto store = open("a");
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  const std::vector<store::Row> rows = store->rows("verbose.samples");
  ASSERT_EQ(samples().size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const stages::TrainingSample& sample = samples()[i];
    EXPECT_EQ(sample.key, rows[i].key);
    ASSERT_EQ(sample.turns.size(), 1u);
    const std::string& prompt = sample.turns[0].prompt;
    EXPECT_EQ(sample.turns[0].response, rows[i].content["response"]);
    EXPECT_THAT(prompt, HasSubstr("### User\n"));
    for (const std::string& hidden :
         {prompts.align.thought_tag, prompts.principles[0].text,
          parse::trim(prompts.verbose_distill.answer)}) {
      EXPECT_EQ(prompt.find(hidden), std::string::npos) << hidden;
    }
  }
  EXPECT_EQ(rows.back().content["source"], "identity");
}

// An answer that the limit of length cut off teaches its text, but no end.
TEST_F(PipelineTest, TruncatedSamplesTeachNoStop) {
  run("a", {}, [](Recipe& recipe) {
    recipe.verbose.sampling.max_new_tokens = 60;  // of 45 to 75 words
  });
  const auto store = open("a");
  int num_cut = 0;
  int num_whole = 0;
  for (const stages::TrainingSample& sample : samples()) {
    const store::Row row = *store->row(sample.key);
    if (row.content["source"] != "verbose.pairs") {
      EXPECT_TRUE(sample.turns.at(0).ends);
      continue;
    }
    const store::Row pair = *store->row(row.parents.at(0));
    const auto finish =
        store->completion(pair.parents.at(0))->completion.finish;
    ASSERT_EQ(sample.turns.at(0).ends, finish == generate::Finish::kStop);
    ++(sample.turns.at(0).ends ? num_whole : num_cut);
  }
  EXPECT_GT(num_cut, 0);
  EXPECT_GT(num_whole, 0);
}

// What stands in an evaluation set is rejected; a run goes on only under the
// sets it was begun with.
TEST_F(PipelineTest, ContaminatedInstructionsAreRejected) {
  run("clean");
  std::string text;
  {
    const auto store = open("clean");
    text = stages::kept_instructions(*store).at(3).content["instruction"];
  }
  const std::string set = path("set.jsonl");
  write_file_atomic(set, dump_json(Json{{"question", text}}) + "\n");
  const auto tweak = [&](Recipe& recipe) { recipe.contamination.sets = {set}; };
  ASSERT_TRUE(run_and_kill("guarded", 8, 0, tweak));
  write_file_atomic(set, "{\"question\": \"Why?\"}\n");
  EXPECT_EQ(kind_of([&] { run("guarded", {}, tweak); }, "contamination.sets"),
            ErrorKind::kUsage);
  write_file_atomic(set, dump_json(Json{{"question", text}}) + "\n");
  run("guarded", {}, tweak);
  fs::remove(set);
  run("guarded", {}, tweak);  // all instructions are there
  const auto store = open("guarded");
  for (const store::Row& row : stages::kept_instructions(*store)) {
    EXPECT_NE(row.content["instruction"], text);
  }
  const auto rejections = store->rejections(
      "instruct.tasks", recipe::profile_named("default").instruct_filter);
  EXPECT_TRUE(std::any_of(
      rejections.begin(), rejections.end(),
      [](const auto& reason) { return reason.first == "contaminated"; }));
}

TEST_F(PipelineTest, SurvivesAKillAtEveryCommitPoint) {
  const std::string digest = run("whole");
  int num_points = 0;
  for (int point = 1;; ++point) {
    const std::string name = "killed." + std::to_string(point);
    if (!run_and_kill(name, point)) break;
    ++num_points;
    ASSERT_FALSE(run_and_kill(name, 0)) << point;
    const auto store = open(name);
    ASSERT_EQ(store->run_digest(), digest) << "killed at point " << point;
    fs::remove_all(path(name));
  }
  EXPECT_GT(num_points, 40);
}

TEST_F(PipelineTest, GoesOnThoughKilledAtEachStep) {
  const std::string digest = run("whole");
  int num_kills = 0;
  while (run_and_kill("killed", 2)) ASSERT_LT(++num_kills, 200);
  EXPECT_GT(num_kills, 20);
  EXPECT_EQ(open("killed")->run_digest(), digest);
}

TEST_F(PipelineTest, GoesOnThoughKilledBetweenCommits) {
  const std::string digest = run("whole");
  for (const int after : {1, 3, 17, 18, 29}) {
    const std::string name = "killed." + std::to_string(after);
    EXPECT_TRUE(run_and_kill(name, 0, after));
    EXPECT_EQ(run(name), digest) << after;
  }
}

TEST_F(PipelineTest, AnInterruptIsResumable) {
  const std::string digest = run("whole");
  run_until(recipe_of("a"), after_commits(8));
  EXPECT_EQ(run("a"), digest);
}

TEST_F(PipelineTest, AFinishedRunOpensNoModel) {
  const std::string digest = run("a");
  const Recipe recipe = small_recipe(path("a"));
  ScriptedWorkbench workbench({});
  auto store = stages::open_run(recipe);
  replay::run_to_end(recipe, workbench, *store);
  EXPECT_EQ(workbench.num_opened(), 0);
  EXPECT_EQ(store->run_digest(), digest);
}

TEST_F(PipelineTest, AnotherModelRecipeOrPromptsAreRefused) {
  ASSERT_TRUE(run_and_kill("a", 12));
  WorldOptions other;
  other.base = "another base";
  EXPECT_EQ(kind_of([&] { run("a", other); }, "another base"),
            ErrorKind::kUsage);
  Recipe recipe = small_recipe(path("a"));
  recipe.seed = 8;
  EXPECT_EQ(kind_of([&] { stages::open_run(recipe); }, "seed (was 7, is 8)"),
            ErrorKind::kUsage);
  recipe.seed = 7;
  recipe.prompts_folder = path("prompts");
  fs::copy("prompts", recipe.prompts_folder);
  stages::open_run(recipe);
  write_file_atomic(recipe.prompts_folder + "/held_out.yaml",
                    "held_out:\n  - instruction: Why?\n");
  EXPECT_EQ(kind_of([&] { stages::open_run(recipe); }, "prompts"),
            ErrorKind::kUsage);
  fs::remove_all(recipe.prompts_folder);
  stages::open_run(recipe);  // the run's own copy does
}

TEST_F(PipelineTest, BeforeTheFirstRowEverythingMayChange) {
  Recipe recipe = small_recipe(path("a"));
  recipe.prompts_folder = path("prompts");
  fs::copy("prompts", recipe.prompts_folder);
  write_file_atomic(recipe.prompts_folder + "/held_out.yaml", "held: 1\n");
  EXPECT_EQ(kind_of([&] { stages::open_run(recipe); }, "held_out.yaml:1:1"),
            ErrorKind::kUsage);
  recipe = small_recipe(path("a"));
  recipe.seed = 8;
  stages::open_run(recipe);
  EXPECT_EQ(run("a").size(), 32u);
}

TEST_F(PipelineTest, ARowIsTracedFromSeedToSample) {
  run("a");
  const auto store = open("a");
  const uint64_t key = inspect::find_row(*store, "engrave.samples:0");
  EXPECT_EQ(inspect::find_row(*store, key_to_hex(key)), key);
  const std::string text = inspect::show_row(*store, key);
  size_t at = 0;
  for (const char* part :
       {"== instruct.seeds:", "== instruct.requests:", "self_instruct.yaml",
        "== instruct.tasks:", "instruct.default.3: kept",
        "== align.answers:", "raw text:", "internal thought: ",
        "principle 2 (informative): ", "align.default.4: kept",
        "== align.pairs:", "== engrave.samples:0", "<-- this row"}) {
    const size_t found = text.find(part, at);
    ASSERT_NE(found, std::string::npos) << part << " in\n" << text;
    at = found;
  }
  EXPECT_EQ(kind_of([&] { inspect::show_row(*store, 1); }, "none"),
            ErrorKind::kInput);
  EXPECT_EQ(
      kind_of([&] { inspect::find_row(*store, "align.pairs:x"); }, "from 0 to"),
      ErrorKind::kInput);
}

TEST_F(PipelineTest, PrinciplesAreCountedByTypeOfQuestion) {
  run("a");
  const auto store = open("a");
  const stages::PrincipleUse use =
      stages::principle_use(*store, recipe::load_prompts("prompts"));
  ASSERT_EQ(use.rules.size(), 16u);
  ASSERT_GE(use.types.size(), 2u);
  EXPECT_EQ(use.types[0], "self-instruct");
  EXPECT_EQ(use.num_rows().kept, store->num_rows("align.pairs"));
  EXPECT_EQ(use.num_rows().kept + use.num_rows().rejected, 20);
  EXPECT_EQ(use.rows[0].kept + use.rows[0].rejected, 14);
  // Every thought of the scripted world names rule 2 and rule 3 or 7.
  EXPECT_EQ(use.num_fired(1).kept, use.num_rows().kept);
  EXPECT_EQ(use.num_fired(2).kept + use.num_fired(6).kept, use.num_rows().kept);
  EXPECT_GT(use.num_fired(6).kept, 0);
  EXPECT_DOUBLE_EQ(use.lift(0, 1), 1.0);
  EXPECT_EQ(use.never().size(), 16u - 3 - (use.num_fired(7).kept > 0));
  int64_t of_pairs = 0;
  for (const store::Row& pair : store->rows("align.pairs")) {
    for (const Json& rule : pair.content["rules"]) of_pairs += rule == 7;
  }
  EXPECT_EQ(of_pairs, use.num_fired(6).kept);
  const Json report = summary("a");
  EXPECT_EQ(report["principles"], to_json(principle_report(use)));
  EXPECT_THAT(principles_text(use), HasSubstr("never in a kept row: ethical"));
  const std::string csv = principles_csv(use);
  EXPECT_EQ(size_t(std::count(csv.begin(), csv.end(), '\n')),
            1 + use.types.size() * 16);
}

TEST_F(PipelineTest, TheSummaryHasFunnelLengthsLossesAndAnswers) {
  run("a");
  const std::string text = read_file(path("a") + "/report.txt");
  for (const char* part :
       {"instruct.tasks", "14  ", "no_answer", "mean answer of align.pairs",
        "engrave", "2.000", "base, principles prompt", "end by themselves",
        "engraved", "\n## ", "In short:", "run digest"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

// Also where an answer is over and what follows it is cut off.
TEST_F(PipelineTest, EndsAndTokensAreOneFigureInBothTables) {
  WorldOptions world;
  world.answers_on = true;
  run("a", world, [](Recipe& recipe) {
    recipe.num_held_out = 12;
    recipe.comparison.sampling.max_new_tokens = 200;
  });
  const Json report = summary("a");
  const double prompted = report["held_out"]["prompted"]["share_ended"];
  EXPECT_GT(prompted, 0.5);  // most get as far as the answer
  const auto store = open("a");
  const recipe::Prompts prompts = recipe::load_prompts(path("a") + "/prompts");
  const report::HeldOutAnswers held_out{*store, prompts};
  double ended = -1.0;
  double tokens = -1.0;
  for (const auto& pair : report::differences("", {}, &held_out)) {
    if (pair.before != "base" || pair.after != "prompted") continue;
    for (const report::ScoreDifference& row : pair.rows) {
      if (row.score == "ended") ended = row.after;
      if (row.score == "tokens") tokens = row.after;
    }
  }
  EXPECT_EQ(ended, prompted);
  // Thoughts count in both.
  EXPECT_DOUBLE_EQ(tokens, report["held_out"]["prompted"]["mean_tokens"]);
}

TEST(Annotations, AreFewerThan300) {
  for (const char* folder : {"prompts", "prompts/small"}) {
    const recipe::Annotations all =
        recipe::count_annotations(recipe::load_prompts(folder));
    EXPECT_EQ(all.total, 175 + 20 + 16 + 5) << folder;
    EXPECT_LT(all.total, 300);
  }
}

}  // namespace
}  // namespace selfalign::tests
