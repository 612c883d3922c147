// SPDX-License-Identifier: Apache-2.0
// A fork takes over what a change does not affect, makes the rest, and comes
// to the digest of a run from scratch.
#include "replay/fork.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "recipe/recipe_file.h"
#include "replay/whole_run.h"
#include "scripted_runs.h"
#include "stages/instructions.h"
#include "stages/pipeline.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;
using recipe::Recipe;
using store::Store;
using ::testing::HasSubstr;

// What a run cost and came to.
struct Made {
  std::string digest;
  int num_written = 0;
  int num_tuned = 0;
};

class ForkTest : public ScriptedRunsTest {
 protected:
  Recipe recipe(const std::string& name) const {
    return small_recipe(path(name));
  }

  Made make(Store& store, const Recipe& recipe) const {
    ScriptedWorkbench workbench({});
    replay::run_to_end(recipe, workbench, store);
    return {store.run_digest(), workbench.num_written(), workbench.num_tuned()};
  }
  Made run(const Recipe& recipe) const {
    return make(*stages::open_run(recipe), recipe);
  }
  Made fork(const Recipe& recipe, const std::string& from = "") const {
    return make(*replay::open_fork(recipe, path("a"), from), recipe);
  }

  // Those of both runs, as far as they are the same.
  int64_t num_same_manifests(const std::string& one,
                             const std::string& other) const {
    const auto a = open(one)->manifests();
    const auto b = open(other)->manifests();
    int64_t num = 0;
    while (a[size_t(num)].digest == b[size_t(num)].digest) ++num;
    return num;
  }
};

TEST_F(ForkTest, AnotherLearningRateKeepsTheFirstTwoStages) {
  const Made a = run(recipe("a"));
  Recipe changed = recipe("b");
  changed.engrave.learning_rate = 1e-3;
  const Made b = fork(changed);
  changed.run_folder = path("fresh");
  const Made fresh = run(changed);
  EXPECT_EQ(b.digest, fresh.digest);
  EXPECT_NE(b.digest, a.digest);
  EXPECT_EQ(fresh.num_written, a.num_written);
  // Stage 4's answers and those of the engraved and the final model.
  EXPECT_EQ(b.num_written, 20 + 6 + 6);
  EXPECT_EQ(b.num_tuned, 2);
  const auto old = open("a");
  const auto manifests = old->manifests();
  const int64_t same = num_same_manifests("a", "b");
  EXPECT_EQ(manifests[size_t(same)].stage, "engrave.adapter");
  EXPECT_EQ(old->run_digest(), a.digest);
  EXPECT_TRUE(is_sound(path("b")));
}

TEST_F(ForkTest, AnotherPrincipleKeepsTheFirstStage) {
  run(recipe("a"));
  Recipe changed = recipe("b");
  changed.prompts_folder = path("prompts");
  fs::copy("prompts", changed.prompts_folder);
  replace("prompts/principles.yaml", "answer", "reply");
  const Made b = fork(changed);
  changed.run_folder = path("fresh");
  EXPECT_EQ(b.digest, run(changed).digest);
  const auto manifests = open("a")->manifests();
  EXPECT_EQ(manifests[size_t(num_same_manifests("a", "b"))].stage,
            "align.answers");
  EXPECT_TRUE(is_sound(path("b")));
}

TEST_F(ForkTest, MoreInstructionsCostOnlyTheNewOnes) {
  run(recipe("a"));
  Recipe more = recipe("b");
  more.instruct.num_instructions += 4;
  const Made b = fork(more);
  more.run_folder = path("fresh");
  const Made fresh = run(more);
  EXPECT_EQ(b.digest, fresh.digest);
  EXPECT_LT(b.num_written, fresh.num_written - 40);
}

TEST_F(ForkTest, AdaptersOfTheSameSamplesAreTakenOver) {
  const Made a = run(recipe("a"));
  Recipe fewer = recipe("b");
  fewer.num_held_out = 2;
  const Made b = fork(fewer);
  EXPECT_EQ(b.num_tuned, 0);
  EXPECT_EQ(b.num_written, 0);
  EXPECT_EQ(read_file(path("a") + "/verbose/adapter/digest"),
            read_file(path("b") + "/verbose/adapter/digest"));
  fewer.run_folder = path("fresh");
  EXPECT_EQ(b.digest, run(fewer).digest);
  EXPECT_TRUE(is_sound(path("b")));
}

TEST_F(ForkTest, ADamagedAdapterIsMadeAnew) {
  const Made a = run(recipe("a"));
  write_file_atomic(path("a") + "/verbose/adapter/digest", "other");
  const Made b = fork(recipe("b"));
  EXPECT_EQ(b.num_tuned, 1);
  EXPECT_EQ(b.digest, a.digest);
  EXPECT_TRUE(is_sound(path("b")));
}

TEST_F(ForkTest, GoesOnAfterAStopAlsoWithoutTheOtherRun) {
  const Made a = run(recipe("a"));
  {
    const auto store = replay::open_fork(recipe("b"), path("a"), "");
    int commits = 0;
    store->set_commit_hook([&] {
      if (++commits == 12) throw Error(ErrorKind::kFailed, "stop");
    });
    ScriptedWorkbench workbench({});
    EXPECT_THROW(replay::run_to_end(recipe("b"), workbench, *store), Error);
  }
  fs::copy(path("b"), path("c"), fs::copy_options::recursive);
  const Made b = run(recipe("b"));
  EXPECT_EQ(b.digest, a.digest);
  EXPECT_EQ(b.num_written + b.num_tuned, 0);
  fs::rename(path("a"), path("gone"));
  const Made c = run(recipe("c"));
  EXPECT_EQ(c.digest, a.digest);
  EXPECT_GT(c.num_written, 0);
  EXPECT_EQ(c.num_tuned, 2);
}

TEST_F(ForkTest, FromAStageOnEverythingIsMadeAnew) {
  const Made a = run(recipe("a"));
  const Made b = fork(recipe("b"), "engrave");
  EXPECT_EQ(b.digest, a.digest);
  EXPECT_EQ(b.num_tuned, 2);
  EXPECT_EQ(b.num_written, 20 + 5 * 6);
  const Error error = error_of([&] { fork(recipe("c"), "engraving"); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("engrave.adapter"));
  EXPECT_FALSE(fs::exists(path("c")));
}

TEST_F(ForkTest, DecisionsAreHonouredAndLateOnesAreNoDamage) {
  run(recipe("a"));
  uint64_t dropped = 0, edited = 0, instruction = 0;
  {
    const auto store = Store::open(path("a"));
    dropped = store->row("align.pairs", 1).value().key;
    edited = store->row("align.pairs", 2).value().key;
    instruction = stages::kept_instructions(*store).at(0).key;
    store->add_review({dropped, "ann", store::Decision::kDrop, "", "", 1.0});
    store->add_review({edited, "ann", store::Decision::kEdit, "So.", "", 1.0});
    store->add_review(
        {instruction, "ann", store::Decision::kDrop, "", "", 1.0});
  }
  EXPECT_TRUE(is_sound(path("a")));  // they came after all was made
  const Made b = fork(recipe("b"));
  EXPECT_EQ(b.num_tuned, 2);
  const auto store = open("b");
  EXPECT_EQ(store->num_rows("align.answers"), 19);
  EXPECT_TRUE(store->review(dropped).has_value());
  int num_edited = 0;
  for (const store::Row& row : store->rows("engrave.samples")) {
    if (row.parents.empty()) continue;
    EXPECT_NE(row.parents[0], dropped);
    if (row.parents[0] == edited) {
      EXPECT_EQ(row.content["response"], "So.");
      ++num_edited;
    }
  }
  EXPECT_EQ(num_edited, 1);
  EXPECT_TRUE(is_sound(path("b")));
}

TEST_F(ForkTest, AFolderWithAnotherRunIsRefused) {
  run(recipe("a"));
  run(recipe("b"));
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(kind_of([&] { fork(recipe(name)); }), ErrorKind::kUsage) << name;
  }
  fork(recipe("c"));
  fork(recipe("c"));  // the same one again
}

TEST_F(ForkTest, AllThatDiffersIsNamedInOneError) {
  run(recipe("a"));
  Recipe changed = recipe("a");
  changed.prompts_folder = path("prompts");
  fs::copy("prompts", changed.prompts_folder);
  const std::string principles = "prompts/principles.yaml";
  write(principles,
        "# A comment says nothing new.\n" + read_file(path(principles)));
  stages::open_run(changed);
  replace(principles, "answer", "reply");
  changed.engrave.learning_rate = 0.5;
  changed.align.sampling.top_p = 0.25;
  const Error error = error_of([&] { stages::open_run(changed); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  for (const char* part :
       {"recipe: engrave.learning_rate (was 4e-04, is 0.5)",
        "recipe: align.sampling.top_p (was ", "is 0.25)",
        "principles.yaml: principles[", "].text (was ", "--fork NEW"}) {
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

// Who edits the run's own copies is told the same.
TEST_F(ForkTest, EditedCopiesAreRefused) {
  run(recipe("a"));
  const std::string copy = "a/recipe.resolved.yaml";
  replace(copy, "num_held_out: 6", "num_held_out: 9");
  const Error usage =
      error_of([&] { stages::open_run(recipe::read_recipe(path(copy))); });
  EXPECT_EQ(usage.kind(), ErrorKind::kUsage);
  EXPECT_THAT(usage.what(), HasSubstr("num_held_out (was 6, is 9)"));
  replace(copy, "num_held_out: 9", "num_held_out: 6");
  const std::string prompt = "a/prompts/identity.yaml";
  write(prompt, read_file(path(prompt)) + "\n");
  const Error damaged = error_of([&] { run(recipe("a")); });
  EXPECT_EQ(damaged.kind(), ErrorKind::kDamaged);
  EXPECT_THAT(damaged.what(), HasSubstr("prompts/identity.yaml"));
}

}  // namespace
}  // namespace selfalign::tests
