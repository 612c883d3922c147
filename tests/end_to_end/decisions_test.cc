// SPDX-License-Identifier: Apache-2.0
// What a person decides, tries and looks at, on runs of the scripted world.
#include "stages/decisions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "inspect/trace.h"
#include "recipe/profile.h"
#include "replay/preview.h"
#include "replay/whole_run.h"
#include "scripted_runs.h"
#include "stages/instructions.h"
#include "stages/pipeline.h"

namespace selfalign::tests {
namespace {

using recipe::Recipe;
using store::Store;
using ::testing::HasSubstr;

class DecisionsTest : public ScriptedRunsTest {};

std::function<bool(Store&)> has_rows(const std::string& stage) {
  return [stage](Store& store) { return store.num_rows(stage) > 0; };
}

store::Review decided(uint64_t key, store::Decision decision,
                      const std::string& text = "") {
  return {key, "ann", decision, text, "", 1.0};
}

TEST_F(DecisionsTest, SamplesHonourWhatAPersonDecided) {
  const std::string plain = run(small_recipe(path("plain")));
  const Recipe recipe = small_recipe(path("a"));
  uint64_t dropped = 0;
  uint64_t edited = 0;
  uint64_t rejected = 0;
  const auto judged = [](Store& store) {
    return !store
                .rejections("align.answers",
                            recipe::profile_named("default").align.name)
                .empty() &&
           store.num_rows("align.pairs") > 1;
  };
  run_until(recipe, judged, [&](Store& store) {
    const std::vector<store::Row> pairs = store.rows("align.pairs");
    ASSERT_GE(pairs.size(), 2u);
    dropped = pairs[0].key;
    edited = pairs[1].key;
    store.add_review(decided(dropped, store::Decision::kDrop));
    store.add_review(decided(edited, store::Decision::kEdit, "Better."));
    store.scan("align.answers", recipe::profile_named("default").align.name,
               [&](const store::SeenRow& seen) {
                 if (!seen.verdict || seen.verdict->kept) return true;
                 rejected = seen.row.key;
                 return false;
               });
    ASSERT_NE(rejected, 0u);
    store.add_review(
        decided(rejected, store::Decision::kEdit, "Written anew."));
  });
  EXPECT_NE(run(small_recipe(path("a"))), plain);
  const auto before = open("plain");
  const auto after = open("a");
  EXPECT_EQ(after->manifest("align.pairs")->digest,
            before->manifest("align.pairs")->digest);
  std::map<uint64_t, store::Row> samples;  // by parent
  for (const store::Row& row : after->rows("engrave.samples")) {
    if (!row.parents.empty()) samples[row.parents[0]] = row;
  }
  EXPECT_FALSE(samples.contains(dropped));
  EXPECT_EQ(samples.at(edited).content["response"], "Better.");
  EXPECT_EQ(samples.at(edited).content["source"], "review");
  EXPECT_FALSE(before->row(samples.at(edited).key).has_value());
  EXPECT_EQ(samples.at(rejected).content["response"], "Written anew.");
  EXPECT_EQ(samples.at(rejected).content["ends"], true);
  EXPECT_EQ(after->num_rows("engrave.samples"),
            before->num_rows("engrave.samples"));
  EXPECT_THAT(inspect::show_row(*after, edited),
              HasSubstr("review by ann: edit\n  text after review: Better."));
}

TEST_F(DecisionsTest, APreviewShowsEveryStageAndForecastsTheRun) {
  Recipe whole = small_recipe(path("a"));
  whole.instruct.num_instructions = 1000;
  whole.instruct.topic_rounds = 6;
  const Recipe small = replay::preview_recipe(whole);
  EXPECT_EQ(small.instruct.topic_rounds, 1);
  EXPECT_EQ(small.run_folder, path("a-preview"));
  ScriptedWorkbench workbench({});
  auto store = stages::open_run(small);
  replay::run_to_end(small, workbench, *store);
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  EXPECT_EQ(stages::kept_instructions(*store).size(), 12u);
  const auto preview = replay::preview_report(whole, prompts, *store);
  std::set<std::string> shown;
  for (const replay::PreviewExample& example : preview.examples) {
    shown.insert(example.row.substr(0, example.row.find(':')));
  }
  for (const char* stage :
       {"instruct.tasks", "redteam.questions", "align.answers",
        "engrave.samples", "verbose.answers", "held_out.verbose.answers"}) {
    EXPECT_TRUE(shown.contains(stage)) << stage;
  }
  std::map<std::string, inspect::StepForecast> steps;
  for (const inspect::StepForecast& step : preview.forecast) {
    steps[step.step] = step;
  }
  EXPECT_EQ(steps["align"].total, 1006);
  EXPECT_NEAR(steps["align"].tokens,
              double(store->activity("align.answers").num_tokens) * 1006 / 12,
              1.0);
  EXPECT_THAT(replay::preview_text(preview, *store, 80),
              HasSubstr("thought: "));
}

TEST_F(DecisionsTest, ADroppedInstructionIsNotAnswered) {
  const Recipe recipe = small_recipe(path("a"));
  uint64_t dropped = 0;
  run_until(recipe, has_rows("redteam.questions"), [&](Store& store) {
    dropped = stages::kept_instructions(store).at(3).key;
    store.add_review(decided(dropped, store::Decision::kDrop));
  });
  uint64_t late = 0;
  run_until(recipe, has_rows("align.answers"), [&](Store& store) {
    EXPECT_EQ(stages::made_already(store, "instruct.tasks"), "align.answers");
    late = stages::kept_instructions(store).at(4).key;
    store.add_review(decided(late, store::Decision::kDrop));
  });
  run(small_recipe(path("a")));
  const auto store = open("a");
  const auto answered = [&](const std::string& stage, uint64_t key) {
    for (const store::Row& row : store->children(key)) {
      if (row.stage == stage) return true;
    }
    return false;
  };
  EXPECT_EQ(store->num_rows("align.answers"), 19);
  EXPECT_FALSE(answered("align.answers", dropped));
  EXPECT_TRUE(answered("align.answers", late));  // it had begun
  EXPECT_EQ(store->num_rows("verbose.answers"), 18);
  EXPECT_FALSE(answered("verbose.answers", late));
}

}  // namespace
}  // namespace selfalign::tests
