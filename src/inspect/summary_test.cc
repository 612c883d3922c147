// SPDX-License-Identifier: Apache-2.0
#include "inspect/summary.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "stages/testing.h"

namespace selfalign::inspect {
namespace {

class SummaryTest : public stages::SmallRun {
 protected:
  HeldOutFigures figures(const Json& loss) {
    std::filesystem::copy("prompts", folder_ + "/prompts");
    const Json answers{{"mean_answer_tokens", 4.0}, {"share_ended", 0.5}};
    for (const auto& [part, report] :
         {std::pair("answers", answers), {"pairs", answers}, {"loss", loss}}) {
      store::Manifest manifest;
      manifest.stage = std::string("held_out.base.") + part;
      manifest.report = report;
      store_->commit_manifest(manifest);
    }
    return *find_named(run_summary(recipe::default_recipe(), *store_).held_out,
                       "base");
  }
};

TEST_F(SummaryTest, ALossOfAnswersIsShown) {
  const HeldOutFigures found = figures({{"num_tokens", 7}, {"loss", 2.5}});
  EXPECT_EQ(found.loss, 2.5);
  EXPECT_EQ(found.share_ended, 0.5);
}

// Also of runs that have a 0 there.
TEST_F(SummaryTest, WithoutReferenceAnswersThereIsNoLoss) {
  EXPECT_FALSE(figures({{"num_tokens", 0}, {"loss", 0.0}}).loss);
}

}  // namespace
}  // namespace selfalign::inspect
