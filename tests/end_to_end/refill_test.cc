// Targeted refill in the scripted world, where a fourth of the thoughts name
// rule 7 (candor) and most rules are never named.
#include "stages/refill.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/log.h"
#include "scripted_world.h"
#include "stages/funnel.h"
#include "stages/instruct.h"
#include "stages/pipeline.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using store::OpenMode;
using store::Store;

class RefillTest : public ::testing::Test {
 protected:
  RefillTest() {
    set_log_level(LogLevel::kError);
    fs::remove_all(root_);
  }
  ~RefillTest() override {
    set_log_level(LogLevel::kInfo);
    fs::remove_all(root_);
  }

  stages::Recipe recipe(const std::string& name) const {
    stages::Recipe recipe = small_recipe(root_ + "/" + name);
    recipe.refill.min_per_rule = 6;
    recipe.refill.max_requests = 60;
    return recipe;
  }
  std::string run(const std::string& name, WorldOptions options = {}) const {
    const stages::Recipe small = recipe(name);
    ScriptedWorkbench workbench(options);
    auto store = stages::open_run(small);
    run_pipeline(small, workbench, *store);
    return store->run_digest();
  }
  bool run_and_kill(const std::string& name, int kill_at) const {
    const pid_t child = fork();
    if (child == 0) {
      const stages::Recipe small = recipe(name);
      KillSwitch kill{kill_at};
      ScriptedWorkbench workbench({});
      auto store = stages::open_run(small);
      store->set_commit_hook([&kill] { kill.tick(); });
      run_pipeline(small, workbench, *store);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  }

  const std::string root_ = testing::TempDir() + "/refill_test";
};

TEST_F(RefillTest, AsksForTheTypesThatHaveMostOfARule) {
  const stages::Prompts prompts = stages::load_prompts("prompts");
  stages::PrincipleUse use;
  use.rules = stages::principle_names(prompts);
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
  run("a");
  const auto store = Store::open(root_ + "/a", OpenMode::kReadOnly);
  const stages::Prompts prompts = stages::load_prompts("prompts");
  const auto before = principle_use(*store, prompts, 1);
  const auto after = principle_use(*store, prompts);
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
  const std::string digest = run("a");
  WorldOptions wide;
  wide.num_slots = 23;
  EXPECT_EQ(run("b", wide), digest);
  int num_kills = 0;
  for (int at = 20; at < 90; at += 9) {
    const std::string name = "killed." + std::to_string(at);
    if (!run_and_kill(name, at)) break;
    ++num_kills;
    EXPECT_EQ(run(name), digest) << at;
    fs::remove_all(root_ + "/" + name);
  }
  EXPECT_GT(num_kills, 3);
}

TEST_F(RefillTest, IsOffByDefault) {
  EXPECT_EQ(stages::Recipe().refill.min_per_rule, 0);
  EXPECT_EQ(stages::unrefilled("refill.2.answers"), "align.answers");
  EXPECT_EQ(stages::unrefilled("refill.1.requests"), "redteam.requests");
  EXPECT_EQ(stages::unrefilled("align.pairs"), "align.pairs");
}

}  // namespace
}  // namespace selfalign::tests
