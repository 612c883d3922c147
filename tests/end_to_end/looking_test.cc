// The subcommands that look into a run and review it, on a run of the scripted
// world: what they print, and their exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "scripted_world.h"
#include "stages/pipeline.h"

namespace selfalign::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class LookingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = testing::TempDir() + "looking." + std::to_string(getpid());
    std::filesystem::remove_all(folder_);
    set_log_level(LogLevel::kWarning);
    set_progress_shown(false);
    make_run("a", 7);
    make_run("b", 8);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }

  static void make_run(const std::string& name, uint64_t seed) {
    stages::Recipe recipe = small_recipe(folder_ + "/" + name);
    recipe.seed = seed;
    ScriptedWorkbench workbench({});
    auto store = stages::open_run(recipe);
    run_pipeline(recipe, workbench, *store);
  }

  // `selfalign ARGUMENTS` in the folder of the runs "a" and "b".
  static Outcome selfalign(const std::string& arguments,
                           const std::string& input = "") {
    const auto file = [](const char* name) { return folder_ + "/" + name; };
    write_file_atomic(file("in"), input);
    const std::string line = "cd '" + folder_ + "' && USER=ann '" +
                             SELFALIGN_PROGRAM "' " + arguments +
                             " <in >out 2>err";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            read_file(file("out")), read_file(file("err"))};
  }

  static std::string folder_;
};
std::string LookingTest::folder_;

TEST_F(LookingTest, SearchMarksTheHit) {
  const Outcome found = selfalign("search a 'LAMP|river' --regex --limit 3");
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_THAT(found.out, HasSubstr("<<"));
  EXPECT_THAT(found.out, HasSubstr("instruct."));
  EXPECT_THAT(found.err, HasSubstr("more than 3"));
  EXPECT_EQ(selfalign("search a '(' --regex").code, 2);
  EXPECT_EQ(selfalign("search none x").code, 3);
}

TEST_F(LookingTest, SampleIsTheSameForTheSameSeed) {
  const std::string line = "sample a --rejected --stage instruct.tasks -n 3";
  const Outcome first = selfalign(line);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("rejected, "));
  EXPECT_EQ(selfalign(line).out, first.out);
  EXPECT_NE(selfalign(line + " --seed 9").out, first.out);
  EXPECT_EQ(selfalign("sample a --kept --rejected").code, 2);
}

TEST_F(LookingTest, StatsAndStatusTellOfTheRun) {
  const Outcome stats = selfalign("stats a");
  EXPECT_EQ(stats.code, 0) << stats.err;
  EXPECT_THAT(stats.out, HasSubstr("instructions kept: 20"));
  EXPECT_THAT(stats.out, HasSubstr("root verbs"));
  const Outcome status = selfalign("status a");
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("20/20 rows"));
  const Json json = parse_json(selfalign("status a --json").out, "stdout");
  EXPECT_EQ(json["pace"]["left_s"], 0.0);
  EXPECT_EQ(json["pace"]["writer"], nullptr);
}

TEST_F(LookingTest, DiffTakesVariantsStagesAndRuns) {
  const Outcome variants = selfalign("diff a prompted engraved --limit 2");
  EXPECT_EQ(variants.code, 0) << variants.err;
  EXPECT_THAT(variants.out, HasSubstr("A held_out.prompted.answers: 6 rows"));
  EXPECT_THAT(variants.out, HasSubstr(" | "));
  const Outcome runs = selfalign("diff a b");
  EXPECT_EQ(runs.code, 0) << runs.err;
  EXPECT_THAT(runs.out, HasSubstr("seed: [-7-] {+8+}"));
  EXPECT_THAT(runs.out, Not(HasSubstr("run_folder")));
  EXPECT_EQ(selfalign("diff a none").code, 2);
  EXPECT_EQ(selfalign("diff a base nothing").code, 2);
}

TEST_F(LookingTest, ReviewKeepsDecisionsLineByLine) {
  const Outcome first =
      selfalign("review a", "x\nd too long\ne A better one.\nb\nk\ns\nq\n");
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("align.pairs:0"));
  EXPECT_THAT(first.out, HasSubstr("decided: edit"));
  EXPECT_THAT(first.err, HasSubstr("3 decided"));
  EXPECT_THAT(first.err, HasSubstr("--fork NEW"));
  EXPECT_THAT(selfalign("review a", "q\n").out,
              Not(HasSubstr("align.pairs:0\n")));
  const Outcome shown = selfalign("show a align.pairs:0");
  EXPECT_THAT(shown.out, HasSubstr("review by ann: drop"));
  EXPECT_THAT(shown.out, HasSubstr("note: too long"));
  EXPECT_EQ(selfalign("review a --stage instruct.seeds").code, 2);
  EXPECT_EQ(selfalign("review none").code, 3);
}

TEST_F(LookingTest, ReviewWaitsForNoWriter) {
  const auto writer =
      store::Store::open(folder_ + "/b", store::OpenMode::kWrite);
  const Outcome refused = selfalign("review b", "k\n");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("process " + std::to_string(getpid())));
}

}  // namespace
}  // namespace selfalign::tests
