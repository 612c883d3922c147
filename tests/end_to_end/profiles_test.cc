// SPDX-License-Identifier: Apache-2.0
// The same world under both profiles: what each keeps, and the report on the
// rows where they differ.
#include "replay/profiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "recipe/profile.h"
#include "replay/replayed_run.h"
#include "scripted_runs.h"
#include "stages/align.h"
#include "stages/funnel.h"
#include "stages/pipeline.h"
#include "stages/run.h"
#include "store/testing.h"

namespace selfalign::tests {
namespace {

using recipe::Recipe;
using store::Row;
using store::Store;
using ::testing::HasSubstr;

class ProfilesTest : public ScriptedRunsTest {
 protected:
  Recipe recipe(const std::string& name, const std::string& profile) const {
    Recipe recipe = small_recipe(path(name));
    recipe.profile = profile;
    if (profile != "default") {
      recipe.instruct.balance = "smallest";
      recipe.instruct.shard_size = 5;
    }
    return recipe;
  }

  // A run that both judged, as all were once.
  std::string run_judged_by_both(const Recipe& recipe) const {
    ScriptedWorkbench workbench({});
    const auto store = stages::open_run(recipe);
    stages::run_pipeline(recipe, workbench, *store, stages::Judging::kBoth);
    return store->run_digest();
  }

  Json report(const std::string& name) const {
    return to_json(replay::profiles_report(*open(name), 100));
  }
};

TEST_F(ProfilesTest, EachIsReproducible) {
  std::set<std::string> digests;
  for (const std::string profile : {"default", "paper", "paper2"}) {
    const std::string digest = run(recipe(profile, profile));
    WorldOptions wide;
    wide.num_slots = 23;
    EXPECT_EQ(run(recipe(profile + ".wide", profile), wide), digest);
    digests.insert(digest);
    // Stopped on the way and gone on with.
    const Recipe stopped = recipe(profile + ".stopped", profile);
    run_until(stopped, after_commits(9));
    EXPECT_EQ(run(stopped), digest);
    EXPECT_EQ(replay::profiles_report(*open(profile), 1).profile, profile);
    EXPECT_EQ(report(profile), report(profile + ".stopped"));
  }
  EXPECT_EQ(digests.size(), 3u);
}

TEST_F(ProfilesTest, PaperDoesAsPublished) {
  run(recipe("paper", "paper"));
  const auto store = open("paper");
  // Generation goes on through the next turn, and what ends is a turn's tag.
  bool any_end = false;
  for (const Row& pair : store->rows("align.pairs")) {
    EXPECT_THAT(store->completion(pair.parents.at(0))->completion.text,
                HasSubstr("User: Thanks."));
    const std::string response = pair.content["response"];
    EXPECT_GE(response.size(), 149u);
    EXPECT_EQ(response.find("president"), std::string::npos);
    any_end = any_end || pair.content["ends"].get<bool>();
  }
  EXPECT_TRUE(any_end);
  std::set<std::string> reasons;
  for (const store::Manifest& manifest : store->manifests()) {
    for (const auto& [reason, count] : stages::funnel_of(manifest).rejected) {
      reasons.insert(reason);
    }
  }
  for (const char* reason : {"too_short", "exemplar_word", "not_text"}) {
    EXPECT_TRUE(reasons.contains(reason)) << reason;
  }
  // Every type has as many topics as the type with fewest.
  const Json red_team = store->manifest("redteam.questions")->report;
  EXPECT_EQ(red_team["balance"], "smallest");
  // The engraved model answers questions about itself; no row of its own.
  EXPECT_GT(store->num_rows("verbose.identity"), 0);
  for (const Row& row : store->rows("verbose.samples")) {
    EXPECT_EQ(row.content["source"], "verbose.pairs");
  }
  // No sample teaches end of text; by turns two prompts; the stop is text.
  std::set<std::string> openings;
  int num_stops = 0;
  for (const stages::TrainingSample& sample : samples()) {
    const stages::TrainingTurn& turn = sample.turns.at(0);
    EXPECT_FALSE(turn.ends);
    num_stops += turn.response.ends_with("\n\n### User\n");
    openings.insert(turn.prompt.substr(0, turn.prompt.find("### User")));
  }
  EXPECT_GT(num_stops, 0);
  EXPECT_EQ(openings.size(), 2u);
  for (const Row& row : store->rows("engrave.samples")) {
    if (row.content["source"] == "identity") {
      EXPECT_EQ(row.content["ends"], false);
    }
  }
}

TEST_F(ProfilesTest, TopicsGrowInRoundsAndAreCutToTheSmallestType) {
  Recipe rounds = recipe("rounds", "paper");
  rounds.instruct.topic_rounds = 3;
  const std::string digest = run(rounds);
  const auto store = open("rounds");
  // The first round shows each seed topic alone, later ones several.
  std::map<size_t, int> by_parents;
  std::map<std::string, int> by_type;
  for (const Row& request : store->rows("redteam.topic_requests")) {
    ++by_parents[request.parents.size()];
    ++by_type[request.content["type"]];
  }
  EXPECT_GE(by_parents[2], 20);
  EXPECT_GT(by_parents[6], 0);
  // A request for each topic, and before every round all types have as many.
  std::set<int> numbers;
  for (const auto& [type, number] : by_type) numbers.insert(number);
  EXPECT_EQ(by_type.size(), 20u);
  EXPECT_EQ(numbers.size(), 1u);
  const auto rejected = store->rejections("redteam.topics", "topics.paper.1");
  EXPECT_THAT(rejected, testing::Contains(testing::Key("cut")));
  Recipe again = rounds;
  again.run_folder += ".again";
  WorldOptions wide;
  wide.num_slots = 23;
  run_until(again, after_commits(5));
  EXPECT_EQ(run(again, wide), digest);
}

// Three seed topics and five more are under ten.
TEST_F(ProfilesTest, OneTopicIsShownWhileUnderTenAreKnown) {
  Recipe rounds = recipe("rounds", "paper");
  rounds.instruct.topic_rounds = 3;
  WorldOptions few;
  few.num_topics = 5;
  run(rounds, few);
  const auto requests = open("rounds")->rows("redteam.topic_requests");
  EXPECT_GT(requests.size(), 3u * 20u);
  for (const Row& request : requests) EXPECT_EQ(request.parents.size(), 2u);
}

// Whatever they are, each stage's requests carry its own.
TEST_F(ProfilesTest, EveryStageSamplesByItsOwnSettings) {
  for (const std::string profile : {"default", "paper"}) {
    Recipe own = recipe(profile, profile);
    own.instruct.sampling.top_p = 0.91;
    own.instruct.topic_sampling.top_p = 0.92;
    own.instruct.question_sampling.top_p = 0.93;
    own.align.sampling.top_p = 0.94;
    own.verbose.sampling.top_p = 0.95;
    own.comparison.sampling.top_p = 0.96;
    std::map<uint64_t, double> asked;
    WorldOptions world;
    world.on_request = [&asked](const generate::Request& request) {
      asked[request.key] = request.sampling.top_p;
    };
    run(own, world);
    const auto store = open(profile);
    const std::pair<const char*, double> stages[] = {
        {"instruct.requests", 0.91}, {"redteam.topic_requests", 0.92},
        {"redteam.requests", 0.93},  {"align.answers", 0.94},
        {"verbose.answers", 0.95},   {"held_out.engraved.answers", 0.96}};
    for (const auto& [stage, top_p] : stages) {
      const auto rows = store->rows(stage);
      EXPECT_FALSE(rows.empty()) << stage;
      for (const Row& row : rows) EXPECT_EQ(asked[row.key], top_p) << stage;
    }
  }
}

TEST_F(ProfilesTest, PaperNeverSamplesSorryInStage2) {
  for (const std::string profile : {"default", "paper", "paper2"}) {
    const Recipe own = recipe(profile, profile);
    ScriptedWorkbench workbench({});
    auto store = stages::open_run(own);
    const recipe::Prompts prompts = recipe::load_prompts("prompts");
    stages::Models models(own, workbench, *store);
    const stages::AnswerPlan plan =
        stages::stage_plan({own, prompts, *store, workbench, models}, {});
    EXPECT_EQ(plan.sampling.logit_bias.empty(), profile != "paper");
  }
}

TEST_F(ProfilesTest, DefaultShowsTwoInFiveSeedsWithAnInput) {
  for (const std::string profile : {"default", "paper"}) {
    run(recipe(profile, profile));
    const auto store = open(profile);
    std::set<int> with_input;
    for (const Row& request : store->rows("instruct.requests")) {
      int count = 0;
      for (const uint64_t seed : request.parents) {
        const std::string text = store->row(seed)->content["instruction"];
        count += text.find("\n\n") != std::string::npos;
      }
      with_input.insert(count);
    }
    EXPECT_EQ(with_input == std::set<int>{2}, profile == "default");
  }
}

TEST_F(ProfilesTest, TheReportCountsWhereTheyDiffer) {
  for (const std::string profile : {"default", "paper"}) {
    run(recipe(profile, profile));
    const auto store = open(profile);
    const auto report = replay::profiles_report(*store, 2);
    EXPECT_EQ(report.profile, profile);
    EXPECT_GT(report.num_differ, 0);
    std::set<std::string> stages_seen;
    const replay::ReplayedRun both(*store, stages::Judging::kBoth);
    for (const replay::ProfiledStage& stage : report.stages) {
      stages_seen.insert(stage.stage);
      // Counted again, row by row.
      int64_t num_kept = 0;
      for (const Row& row : store->rows(stage.stage)) {
        int sides = 0;
        for (const store::Verdict& verdict : both.store().verdicts(row.key)) {
          sides += verdict.kept && (verdict.filter == stage.default_filter ||
                                    verdict.filter == stage.paper_filter);
        }
        num_kept += sides == 2;
      }
      EXPECT_EQ(stage.kept_by_both, num_kept) << stage.stage;
      int64_t num_differ = 0;
      for (const replay::ProfileDifference& difference : stage.differences) {
        num_differ += difference.count;
        EXPECT_LE(difference.examples.size(), 2u);
        EXPECT_GE(difference.examples.size(), 1u);
      }
      EXPECT_EQ(stage.num_differ, num_differ);
    }
    EXPECT_EQ(stages_seen,
              (std::set<std::string>{"instruct.tasks", "redteam.topics",
                                     "redteam.questions", "align.answers",
                                     "verbose.answers"}));
    const std::string text = replay::profiles_text(report);
    EXPECT_THAT(text, HasSubstr("default kept, paper exemplar_word"));
    EXPECT_THAT(text, HasSubstr("default kept, paper too_short"));
    EXPECT_THAT(text, HasSubstr("paper: president"));
    EXPECT_THAT(text, HasSubstr("profiles differ on "));
  }
}

TEST_F(ProfilesTest, ARunIsJudgedByItsOwnAloneAndTheReportIsThatOfBoth) {
  for (const std::string profile : {"default", "paper", "paper2"}) {
    const std::string digest = run(recipe(profile, profile));
    const auto store = open(profile);
    for (const std::string& stage : store->stages()) {
      for (const std::string& filter : store->filters(stage)) {
        const std::string its = recipe::profile_of(filter);
        EXPECT_TRUE(its.empty() || its == profile) << stage << ": " << filter;
      }
    }
    const std::string old = profile + ".both";
    EXPECT_EQ(run_judged_by_both(recipe(old, profile)), digest);
    EXPECT_EQ(open(old)->filters("align.answers").size(), 2u);
    EXPECT_EQ(report(old), report(profile));
    EXPECT_TRUE(is_sound(path(old)));
    EXPECT_TRUE(is_sound(path(profile)));
  }
}

TEST_F(ProfilesTest, TheReportIsOfTheStagesThatAreDoneAndWritesNothing) {
  const Recipe whole = recipe("a", "default");
  run_until(whole,
            [](Store& store) { return store.num_rows("align.answers") > 8; });
  const auto read_all = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(whole.run_folder)) {
      const std::string name = entry.path().filename();
      if (!entry.is_regular_file() || name.starts_with("run.db-")) continue;
      files[entry.path()] = read_file(entry.path());
    }
    return files;
  };
  const auto before = read_all();
  const Json under_way = report("a");
  EXPECT_TRUE(read_all() == before);
  EXPECT_EQ(under_way["stages"].size(), 3u);
  run(whole);
  const Json done = report("a");
  EXPECT_EQ(done["stages"].size(), 5u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(under_way["stages"][i], done["stages"][i]);
  }
}

TEST_F(ProfilesTest, WhatCannotBePlayedAgainIsSaid) {
  Recipe given = recipe("a", "default");
  given.stages = {"align", "engrave"};
  given.instructions.path =
      write("p.txt", "Name three rivers of Europe.\nSay what a lamp is for.\n");
  run(given);
  EXPECT_EQ(report("a")["stages"].size(), 1u);
  std::filesystem::remove(path("p.txt"));
  const Error gone = error_of([&] { report("a"); });
  EXPECT_EQ(gone.kind(), ErrorKind::kInput);
  EXPECT_THAT(gone.what(), HasSubstr("playing a run again"));
  EXPECT_THAT(gone.what(), HasSubstr("p.txt"));

  run(recipe("b", "default"));
  const std::string own = recipe::profile_named("default").instruct_filter;
  store::edit_store(path("b"),
                    "UPDATE manifests SET report = replace(report, '" + own +
                        "', 'instruct.default.1')");
  const Error older = error_of([&] { report("b"); });
  EXPECT_EQ(older.kind(), ErrorKind::kInput);
  EXPECT_THAT(older.what(), HasSubstr("instruct.tasks was judged by "
                                      "instruct.default.1, this program has " +
                                      own));
}

TEST_F(ProfilesTest, TheOthersVerdictsArePartOfNoDigest) {
  run(recipe("a", "default"));
  auto store = Store::open(path("a"));
  const store::Manifest manifest = *store->manifest("align.answers");
  const recipe::Profile& paper = recipe::profile_named("paper");
  const std::string own = recipe::profile_named("default").align.name;
  const uint64_t key = store->row("align.answers", 0).value().key;
  store->set_verdicts({{key, paper.align.name, false, "other", "changed"}});
  EXPECT_EQ(store->digest("align.answers", own, manifest.num_rows),
            manifest.digest);
  store->set_verdicts({{key, own, false, "other", "changed"}});
  EXPECT_NE(store->digest("align.answers", own, manifest.num_rows),
            manifest.digest);
}

}  // namespace
}  // namespace selfalign::tests
