// SPDX-License-Identifier: Apache-2.0
// Targeted refill in the scripted world, where a fourth of the thoughts name
// rule 7 (candor) and most rules are never named.
#include "stages/refill.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "scripted_runs.h"
#include "stages/instructions.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;

class RefillTest : public ScriptedRunsTest {
 protected:
  recipe::Recipe recipe(const std::string& name) const {
    recipe::Recipe recipe = small_recipe(path(name));
    recipe.refill.min_per_rule = 6;
    recipe.refill.max_requests = 60;
    return recipe;
  }
};

TEST_F(RefillTest, AsksForTheTypesThatHaveMostOfARule) {
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  stages::PrincipleUse use;
  use.rules = recipe::principle_names(prompts);
  const auto& types = prompts.red_team.types;
  for (const size_t t : {3u, 5u, 8u, 11u}) {
    use.types.push_back(types[t].type);
    use.rows.push_back({40, 0});
    use.fired.emplace_back(use.rules.size(), stages::KeptRejected{40, 0});
  }
  // Rule 10 fired in some rows of two of the types only.
  for (auto& fired : use.fired) fired[9] = {0, 0};
  use.fired[1][9] = {20, 0};
  use.fired[3][9] = {10, 0};
  const stages::RefillGoal goal = refill_goal(use, prompts, 40);
  ASSERT_EQ(goal.weights.size(), 3u);
  EXPECT_GT(goal.weights.at(types[5].type), 0.0);
  EXPECT_GT(goal.weights.at(types[11].type), goal.weights.at(types[5].type));
  EXPECT_GE(goal.num_questions, 20);
  EXPECT_LE(goal.num_questions, 200);
  EXPECT_EQ(refill_goal(use, prompts, 30).num_questions, 0);
}

TEST_F(RefillTest, AddsRowsThatAllLaterStagesUse) {
  run(recipe("a"));
  const auto store = open("a");
  const recipe::Prompts prompts = recipe::load_prompts("prompts");
  const auto before = stages::principle_use(*store, prompts, 1);
  const auto after = stages::principle_use(*store, prompts);
  EXPECT_LT(before.num_fired(6).kept, 6);
  EXPECT_GT(after.num_fired(6).kept, before.num_fired(6).kept);
  int64_t num_requests = 0;
  int64_t num_pairs = store->num_rows("align.pairs");
  int round = 1;
  for (; store->manifest(stages::refill_stages(round).pairs); ++round) {
    const stages::RefillStages stages = stages::refill_stages(round);
    num_requests += store->manifest(stages.requests)->num_rows;
    num_pairs += store->num_rows(stages.pairs);
  }
  EXPECT_GT(round, 2);
  EXPECT_LE(num_requests, 60);
  std::set<std::string> questions;
  for (const store::Row& row : stages::kept_instructions(*store)) {
    EXPECT_TRUE(questions.insert(row.content["instruction"]).second);
  }
  EXPECT_GT(questions.size(), 20u);
  EXPECT_EQ(store->num_rows("verbose.answers"), int64_t(questions.size()));
  int64_t from_pairs = 0;
  for (const store::Row& row : store->rows("engrave.samples")) {
    from_pairs += row.content["source"] == "align.pairs";
  }
  EXPECT_EQ(from_pairs, num_pairs);
}

TEST_F(RefillTest, IsTheSameInAnyOrderAndAfterKills) {
  const std::string digest = run(recipe("a"));
  WorldOptions wide;
  wide.num_slots = 23;
  EXPECT_EQ(run(recipe("b"), wide), digest);
  int num_kills = 0;
  for (int at = 20; at < 90; at += 9) {
    const std::string name = "killed." + std::to_string(at);
    if (!run_and_kill(recipe(name), at)) break;
    ++num_kills;
    EXPECT_EQ(run(recipe(name)), digest) << at;
    fs::remove_all(path(name));
  }
  EXPECT_GT(num_kills, 3);
}

TEST_F(RefillTest, IsOffByDefault) {
  EXPECT_EQ(recipe::Recipe().refill.min_per_rule, 0);
  EXPECT_EQ(stages::unrefilled("refill.2.answers"), "align.answers");
  EXPECT_EQ(stages::unrefilled("refill.1.requests"), "redteam.requests");
  EXPECT_EQ(stages::unrefilled("align.pairs"), "align.pairs");
}

}  // namespace
}  // namespace selfalign::tests
