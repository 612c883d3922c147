// SPDX-License-Identifier: Apache-2.0
// What a run is made of beside generated rows: topics that grow until there are
// enough or no more come, rows on the assistant itself up to their share, and
// the time that it all took.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/file.h"
#include "inspect/eta.h"
#include "inspect/summary.h"
#include "replay/fork.h"
#include "replay/whole_run.h"
#include "report/report.h"
#include "scripted_runs.h"
#include "stages/funnel.h"
#include "stages/work.h"
#include "text/words.h"

namespace selfalign::tests {
namespace {

using recipe::Recipe;
using store::Row;
using store::Store;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class GrowthTest : public ScriptedRunsTest {
 protected:
  Recipe growing(const std::string& name, int topics_per_type) const {
    Recipe recipe = small_recipe(path(name));
    recipe.instruct.topics_per_type = topics_per_type;
    recipe.instruct.topic_rounds = 20;
    return recipe;
  }
  static WorldOptions world(int num_topics) {
    WorldOptions options;
    options.num_topics = num_topics;
    return options;
  }
};

TEST_F(GrowthTest, AThousandTopicsATypeFromSixtyEnds) {
  const Recipe recipe = growing("a", 1000);
  run(recipe, world(60));
  const auto store = open("a");
  const Json topics = store->manifest("redteam.topics")->report.at("topics");
  EXPECT_EQ(topics["asked_for"], 1000);
  EXPECT_LT(topics["rounds"], 10);
  EXPECT_EQ(topics["types"].size(), 20u);
  for (const auto& [type, figures] : topics["types"].items()) {
    EXPECT_TRUE(figures["saturated"].get<bool>()) << type;
    EXPECT_GT(figures["new"], 55) << type;
    EXPECT_LE(figures["new"], 60) << type;
  }
  EXPECT_LT(store->num_rows("redteam.topic_requests"), 20 * 250);
  EXPECT_THAT(
      inspect::summary_text(inspect::run_summary(recipe, *store)),
      ContainsRegex("red-team topics: 1000 asked for by type; [0-9]+ to "
                    "60 came in [0-9]+ rounds; saturated: "));
  const auto eta =
      inspect::run_eta(recipe, recipe::load_prompts("prompts"), *store);
  for (const inspect::StepEta& step : eta.steps) {
    if (step.step != "red-team topics") continue;
    EXPECT_EQ(step.total, step.done);
    EXPECT_EQ(step.done, store->num_rows("redteam.topic_requests"));
  }
}

TEST_F(GrowthTest, KnownTopicsAreShownAndNotRepeated) {
  const std::string digest = run(growing("a", 30), world(100'000));
  const auto store = open("a");
  const Json topics = store->manifest("redteam.topics")->report.at("topics");
  EXPECT_GT(topics["rounds"], 1);
  for (const auto& [type, figures] : topics["types"].items()) {
    EXPECT_FALSE(figures["saturated"].get<bool>()) << type;
    EXPECT_GE(figures["new"], 30) << type;
    EXPECT_LT(figures["new"], 45) << type;
  }
  std::set<std::pair<std::string, std::string>> seen;
  for (const Row& topic : stages::kept_rows(*store, "redteam.topics")) {
    EXPECT_TRUE(
        seen.emplace(topic.content["type"],
                     text::to_lower(topic.content["topic"].get<std::string>()))
            .second);
  }
  // Later rounds show five topics of the type that were kept before.
  int num_showing = 0;
  for (const Row& request : store->rows("redteam.topic_requests")) {
    if (request.parents.size() == 1) continue;
    ++num_showing;
    ASSERT_EQ(request.parents.size(), 6u);
    for (size_t i = 1; i < 6; ++i) {
      const Row topic = *store->row(request.parents[i]);
      EXPECT_EQ(topic.stage, "redteam.topics");
      EXPECT_EQ(topic.content["type"], request.content["type"]);
    }
  }
  EXPECT_GE(num_showing, 20);
  // Stopped on the way and with other slots.
  WorldOptions wide = world(100'000);
  wide.num_slots = 23;
  Recipe again = growing("b", 30);
  EXPECT_EQ(run(again, wide), digest);
}

// One round is what there was before topics grew.
TEST_F(GrowthTest, OneRoundShowsTheSeedTopics) {
  Recipe recipe = growing("a", 30);
  recipe.instruct.topic_rounds = 1;
  run(recipe, world(100'000));
  const auto store = open("a");
  EXPECT_EQ(store->num_rows("redteam.topic_requests"), 20 * 5);
  for (const Row& request : store->rows("redteam.topic_requests")) {
    EXPECT_EQ(request.parents.size(), 1u);
  }
}

class IdentityTest : public ScriptedRunsTest {
 protected:
  struct Used {
    int64_t pairs = 0;
    std::map<std::string, int> questions;
    int64_t identity = 0;
    std::string funnel;
    Json figures;
  };
  Used samples_of(const std::string& name, const std::string& stage) const {
    const auto store = open(name);
    Used used;
    for (const Row& row : store->rows(stage)) {
      if (row.content["source"] != "identity") {
        ++used.pairs;
        continue;
      }
      ++used.identity;
      ++used.questions[row.content["instruction"]];
    }
    const store::Manifest manifest = *store->manifest(stage);
    used.funnel = stages::funnel_line(stages::funnel_of(manifest));
    used.figures = manifest.report;
    return used;
  }
  const std::vector<recipe::IdentityRow> identity_ =
      recipe::load_prompts("prompts").identity;
  const int64_t num_rows_ = int64_t(identity_.size());
};

TEST_F(IdentityTest, RowsAreAtMostTheirShare) {
  Recipe recipe = small_recipe(path("a"));
  run(recipe);
  for (const std::string stage : {"engrave.samples", "verbose.samples"}) {
    const Used used = samples_of("a", stage);
    EXPECT_EQ(used.identity, used.pairs / 3) << stage;  // a quarter of all
    EXPECT_GT(used.identity, 2);
    // Spread over the file, none twice.
    EXPECT_EQ(int64_t(used.questions.size()), used.identity);
    int64_t last = 0;
    for (int64_t i = 0; i < num_rows_; ++i) {
      if (!used.questions.contains(identity_[size_t(i)].question)) continue;
      EXPECT_LE(i - last, num_rows_ / used.identity + 1) << stage;
      last = i;
    }
    EXPECT_GE(last, num_rows_ - num_rows_ / used.identity - 1) << stage;
    EXPECT_EQ(used.figures["identity"], used.identity);
    EXPECT_EQ(used.figures["identity_left_out"], num_rows_ - used.identity);
    EXPECT_THAT(used.funnel,
                HasSubstr(str("; ", used.identity, " identity (")));
    EXPECT_THAT(used.funnel,
                HasSubstr(str(", ", num_rows_ - used.identity, " left out")));
  }
  const auto store = open("a");
  EXPECT_THAT(
      inspect::summary_text(inspect::run_summary(recipe, *store)),
      ContainsRegex("engrave.samples .* identity \\(2[0-9].* left out"));
  const std::string page = read_file(path("a") + "/report.txt");
  EXPECT_THAT(page, HasSubstr(" left out"));
}

TEST_F(IdentityTest, TheShareIsASetting) {
  Recipe recipe = small_recipe(path("a"));
  recipe.identity_share = 1.0;
  recipe.identity_repeats = 2;
  run(recipe);
  const Used all = samples_of("a", "engrave.samples");
  EXPECT_EQ(all.identity, 2 * num_rows_);
  EXPECT_EQ(all.funnel.find("left out"), std::string::npos);
  recipe = small_recipe(path("none"));
  recipe.identity_share = 0.0;
  run(recipe);
  EXPECT_EQ(samples_of("none", "engrave.samples").identity, 0);
  // Over one repeat: every row once, then some again.
  recipe = small_recipe(path("more"));
  recipe.identity_share = 0.9;
  recipe.identity_repeats = 5;
  run(recipe);
  const Used more = samples_of("more", "engrave.samples");
  EXPECT_EQ(more.identity, 9 * more.pairs);
  EXPECT_EQ(int64_t(more.questions.size()), std::min(num_rows_, more.identity));
}

class TimeTest : public ScriptedRunsTest {};

// Every step of a finished run was timed; what a fork takes over was not.
TEST_F(TimeTest, EveryGenerationIsTimed) {
  const Recipe recipe = small_recipe(path("a"));
  run(recipe);
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  const auto store = open("a");
  for (const inspect::StepEta& step :
       inspect::run_eta(recipe, prompts, *store).steps) {
    if (step.is_tuning) continue;
    EXPECT_GT(step.seconds, 0.0) << step.step;
    EXPECT_LT(step.seconds, 30.0) << step.step;
    EXPECT_DOUBLE_EQ(step.tokens_per_s, double(step.num_tokens) / step.seconds);
  }
  const auto work = stages::work_of(*store, "align.answers");
  EXPECT_EQ(work->num_tokens, store->activity("align.answers").num_tokens);
  EXPECT_EQ(work->num_taken, 0);
  const report::Report report = report::make_report(path("a"));
  double seconds = 0.0;
  for (const report::CostStep& step : report.run->cost.steps) {
    seconds += step.seconds.value_or(0.0);
  }
  EXPECT_GT(seconds, 0.0);

  Recipe more = small_recipe(path("b"));
  more.instruct.num_instructions += 4;
  {
    const auto fork = replay::open_fork(more, path("a"), "");
    ScriptedWorkbench workbench({});
    replay::run_to_end(more, workbench, *fork);
  }
  const auto fork = open("b");
  const auto forked = stages::work_of(*fork, "align.answers");
  const store::Activity all = fork->activity("align.answers");
  EXPECT_GE(forked->num_taken, 14);
  EXPECT_GE(forked->num_completions, 4);
  EXPECT_EQ(forked->num_taken + forked->num_completions, all.num_completions);
  EXPECT_LT(forked->num_tokens, all.num_tokens / 2);
}

}  // namespace
}  // namespace selfalign::tests
