// SPDX-License-Identifier: Apache-2.0
// Ablations of a finished run of the scripted world.
#include "replay/ablate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "scripted_runs.h"

namespace selfalign::tests {
namespace {

using replay::AblateOptions;
using replay::AblationReport;
using store::Reader;
using ::testing::HasSubstr;

class AblateTest : public ScriptedRunsTest {
 protected:
  AblationReport ablate(const AblateOptions& options,
                        const WorldOptions& world = {}) {
    ScriptedWorkbench workbench(world);
    const auto run = open("run");
    return replay::ablate(recipe_, *run, options, workbench);
  }
  static std::string digest(const AblationReport& report) {
    return Reader::open(report.folder)->run_digest();
  }

  const recipe::Recipe recipe_ = small_recipe(path("run"));
  const std::string digest_ = run(recipe_);
};

TEST_F(AblateTest, WithoutAnEditEveryTextComesAgain) {
  const AblationReport report = ablate({});
  EXPECT_EQ(report.num_rows, 20);
  EXPECT_EQ(report.num_changed, 0);
  EXPECT_EQ(to_json(report.before), to_json(report.after));
  EXPECT_TRUE(report.examples.empty());
  const auto run = open("run");
  const auto again = Reader::open(report.folder);
  for (const store::Row& row : run->rows("align.answers")) {
    EXPECT_EQ(run->completion(row.key)->completion.text,
              again->completion(row.key)->completion.text);
  }
  EXPECT_EQ(run->run_digest(), digest_);
}

TEST_F(AblateTest, ADroppedRuleIsNotNamedAndOnlyThoseRowsChange) {
  AblateOptions options;
  options.edit.drop_rules = {7};
  const AblationReport report = ablate(options);
  replay::AblatedRule candor;
  for (const replay::AblatedRule& rule : report.rules) {
    if (rule.name == "candor") candor = rule;
  }
  EXPECT_GT(candor.before, 0);
  EXPECT_EQ(candor.after, 0);
  EXPECT_EQ(report.num_changed, candor.before);
  EXPECT_THAT(replay::ablation_text(report), HasSubstr("rule: candor"));
  EXPECT_EQ(read_file(report.folder + "/report.txt"),
            replay::ablation_text(report));
  EXPECT_THAT(report.examples.at(0).before, HasSubstr("candor"));
  EXPECT_EQ(open("run")->run_digest(), digest_);
}

TEST_F(AblateTest, NothingIsMadeOfAnEditThatCannotBe) {
  for (const int rule : {0, 99}) {
    AblateOptions options;
    options.edit.drop_rules = {rule};
    const Error error = error_of([&] { ablate(options); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("rule to drop: expected a number"));
  }
  AblateOptions options;
  options.edit.add_exemplars = {path("none.yaml")};
  EXPECT_THAT(error_of([&] { ablate(options); }).what(),
              HasSubstr("none.yaml"));
  EXPECT_FALSE(std::filesystem::exists(path("run/ablations")));
}

TEST_F(AblateTest, NothingIsWrittenThroughALink) {
  namespace fs = std::filesystem;
  make_folder(path("elsewhere"));
  make_folder(path("run/ablations"));
  AblateOptions options;
  options.name = "one";
  fs::create_directory_symlink(path("elsewhere"), path("run/ablations/one"));
  EXPECT_EQ(kind_of([&] { ablate(options); }), ErrorKind::kDamaged);
  fs::remove_all(path("run/ablations"));
  fs::create_directory_symlink(path("elsewhere"), path("run/ablations"));
  EXPECT_EQ(kind_of([&] { ablate(options); }), ErrorKind::kDamaged);
  EXPECT_TRUE(fs::is_empty(path("elsewhere")));
}

TEST_F(AblateTest, TheSameRowsAreDrawnForEveryEdit) {
  AblateOptions options;
  options.num_rows = 6;
  const AblationReport control = ablate(options);
  EXPECT_EQ(control.num_rows, 6);
  EXPECT_EQ(control.num_changed, 0);
  options.edit.drop_exemplars = {2};
  const AblationReport other = ablate(options);
  EXPECT_EQ(to_json(other.before), to_json(control.before));
  EXPECT_NE(other.folder, control.folder);
}

TEST_F(AblateTest, GoesOnAfterAKill) {
  AblateOptions options;
  options.edit.drop_rules = {7};
  options.name = "whole";
  const std::string whole = digest(ablate(options));
  options.name = "killed";
  for (const int after : {1, 9, 17}) {
    EXPECT_TRUE(is_killed([&] {
      WorldOptions world;
      world.kill_after = after;
      ablate(options, world);
    })) << after;
  }
  EXPECT_EQ(digest(ablate(options)), whole);
}

TEST_F(AblateTest, AnotherEditOrModelIsRefused) {
  AblateOptions options;
  options.name = "a";
  ablate(options);
  options.edit.drop_rules = {1};
  EXPECT_THROW(ablate(options), Error);
  options.name = "b";
  WorldOptions world;
  world.base = "another base";
  EXPECT_THROW(ablate(options, world), Error);
  options.name = "../b";
  EXPECT_THROW(ablate(options), Error);
}

}  // namespace
}  // namespace selfalign::tests
