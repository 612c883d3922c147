// SPDX-License-Identifier: Apache-2.0
#include "inspect/compare.h"

#include "stages/testing.h"

namespace selfalign::inspect {
namespace {

using CompareTest = stages::SmallRun;

TEST_F(CompareTest, StagesByTheSameInstruction) {
  recipe::Recipe recipe;
  const OpenedRun run{recipe, prompts_, *store_};
  const auto result = compare_stages(run, "align.answers", run, "align.pairs");
  EXPECT_EQ(result.a.num_rows, 3);
  EXPECT_EQ(result.b.num_rows, 2);
  EXPECT_EQ(result.a.mean_tokens, 20.0);
  EXPECT_EQ(result.b.mean_tokens, 5.0);
  EXPECT_EQ(result.b.share_ended, 1.0);
  EXPECT_EQ(result.num_both, 2);
  EXPECT_EQ(result.num_same, 2);
  ASSERT_EQ(result.only_a.size(), 1u);
  EXPECT_EQ(result.only_a[0].substr(0, 8), "Tell me ");
  EXPECT_TRUE(result.only_b.empty() && result.different.empty());
}

TEST_F(CompareTest, NamesMeanStagesOrVariants) {
  EXPECT_EQ(stage_meant(*store_, "align.pairs"), "align.pairs");
  EXPECT_EQ(stage_meant(*store_, "align"), "align.answers");
  store_->add_rows({{60, "held_out.base.answers", 0, {}, Json::object()}});
  EXPECT_EQ(stage_meant(*store_, "base"), "held_out.base.answers");
  EXPECT_EQ(kind_of([&] { stage_meant(*store_, "verbose"); }),
            ErrorKind::kUsage);
}

TEST_F(CompareTest, RunsBySettingsCountsAndRows) {
  const std::string other_folder = folder_ + "/other";
  const auto other = store::Store::open(other_folder);
  other->add_rows({{10, "instruct.tasks", 0, {}, Json{{"instruction", "x"}}},
                   {77, "instruct.tasks", 1, {}, Json{{"instruction", "y"}}}});
  stages::finish_stage(*other, "instruct.tasks", "", 2);
  recipe::Recipe recipe;
  recipe::Recipe changed;
  changed.name = "another";
  changed.engrave.rank = 3;
  const RunComparison result =
      compare_runs({recipe, prompts_, *store_}, {changed, prompts_, *other});
  ASSERT_EQ(result.settings.size(), 1u);
  EXPECT_EQ(result.settings[0].field, "engrave.rank");
  EXPECT_EQ(result.settings[0].was, "16");
  EXPECT_EQ(result.settings[0].is, "3");
  ASSERT_EQ(result.stages.size(), 3u);
  const StageChange& tasks = result.stages[0];
  EXPECT_EQ(tasks.a->made, 4);
  EXPECT_EQ(tasks.b->made, 2);
  EXPECT_EQ(tasks.only_a, 3);
  EXPECT_EQ(tasks.only_b, 1);
  EXPECT_FALSE(tasks.same);
  EXPECT_FALSE(result.stages[1].b.has_value());
}

}  // namespace
}  // namespace selfalign::inspect
