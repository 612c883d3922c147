// SPDX-License-Identifier: Apache-2.0
#include "inspect/summary.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "stages/testing.h"

namespace selfalign::inspect {
namespace {

class SummaryTest : public stages::SmallRun {
 protected:
  Json figures(const Json& loss) {
    std::filesystem::copy("prompts", folder_ + "/prompts");
    for (const char* part : {"answers", "pairs", "loss"}) {
      store::Manifest manifest;
      manifest.stage = std::string("held_out.base.") + part;
      manifest.report = loss;
      store_->commit_manifest(manifest);
    }
    return run_report(recipe::default_recipe(), *store_)["held_out"]["base"];
  }
};

TEST_F(SummaryTest, ALossOfAnswersIsShown) {
  EXPECT_EQ(figures({{"loss", 2.5}, {"num_tokens", 7}})["loss"], 2.5);
}

// Also of runs that have a 0 there.
TEST_F(SummaryTest, WithoutReferenceAnswersThereIsNoLoss) {
  EXPECT_FALSE(figures({{"loss", 0.0}, {"num_tokens", 0}}).contains("loss"));
}

}  // namespace
}  // namespace selfalign::inspect
