// SPDX-License-Identifier: Apache-2.0
// The subcommands that look into a run and review it, on a run of the scripted
// world: what they print, and their exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "base/json.h"
#include "program.h"
#include "scripted_runs.h"
#include "stages/instructions.h"
#include "store/testing.h"

namespace selfalign::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LookingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    runs_ = std::make_unique<ScriptedRuns>();
    recipe::Recipe recipe = small_recipe(runs_->path("a"));
    runs_->run(recipe);
    recipe.run_folder = runs_->path("b");
    recipe.seed = 8;
    runs_->run(recipe);
  }
  static void TearDownTestSuite() { runs_.reset(); }

  // `selfalign ARGUMENTS` in the folder of the runs "a" and "b".
  static Outcome selfalign(const std::string& arguments,
                           const std::string& input = "") {
    return run_bash(runs_->folder(), "USER=ann selfalign " + arguments, input);
  }
  // What it prints where all is well.
  static std::string printed(const std::string& arguments) {
    const Outcome outcome = selfalign(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  }

  static std::unique_ptr<ScriptedRuns> runs_;
};
std::unique_ptr<ScriptedRuns> LookingTest::runs_;

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
  const std::string first = printed(line);
  EXPECT_THAT(first, HasSubstr("rejected, "));
  EXPECT_EQ(printed(line), first);
  EXPECT_NE(printed(line + " --seed 9"), first);
  EXPECT_EQ(selfalign("sample a --kept --rejected").code, 2);
  const Outcome no_reason =
      selfalign("sample a --stage instruct.tasks --reason malfromed");
  EXPECT_EQ(no_reason.code, 2);
  EXPECT_THAT(no_reason.err,
              HasSubstr("found \"malfromed\"; did you mean \"malformed\"? "
                        "there are: "));
}

TEST_F(LookingTest, StatsAndStatusTellOfTheRun) {
  const std::string stats = printed("stats a");
  EXPECT_THAT(stats, HasSubstr("instructions kept: 20"));
  EXPECT_THAT(stats, HasSubstr("root verbs"));
  EXPECT_THAT(printed("status a"), HasSubstr("20/20 rows"));
  const Json json = parse_json(printed("status a --json"), "stdout");
  EXPECT_EQ(json["pace"]["left_s"], 0.0);
  EXPECT_EQ(json["pace"]["writer"], nullptr);
}

TEST_F(LookingTest, DiffTakesVariantsStagesAndRuns) {
  const std::string variants = printed("diff a prompted engraved --limit 2");
  EXPECT_THAT(variants, HasSubstr("A held_out.prompted.answers: 6 rows"));
  EXPECT_THAT(variants, HasSubstr(" | "));
  const std::string runs = printed("diff a b");
  EXPECT_THAT(runs, HasSubstr("seed: [-7-] {+8+}"));
  EXPECT_THAT(runs, Not(HasSubstr("run_folder")));
  EXPECT_EQ(selfalign("diff a none").code, 2);
  EXPECT_EQ(selfalign("diff a base nothing").code, 2);
}

TEST_F(LookingTest, ContaminationNamesTheRowsInASet) {
  const std::string text =
      stages::kept_instructions(*runs_->open("a")).at(3).content["instruction"];
  runs_->write("mine.jsonl", dump_json({{"question", text}}) + "\n");
  runs_->write("other.jsonl", "{\"question\": \"Does it rain on Venus?\"}\n");
  EXPECT_THAT(printed("contamination a --set mine.jsonl"), HasSubstr("mine"));
  const auto tasks = [](const std::string& set) {
    const std::string out = printed("contamination a --json --set " + set);
    return parse_json(out, "stdout")["stages"]["instruct.tasks"];
  };
  const Json mine = tasks("mine.jsonl");
  EXPECT_GE(mine["contaminated"], 1);
  EXPECT_TRUE(mine["sets"].contains("mine.jsonl")) << mine;
  EXPECT_FALSE(tasks("other.jsonl")["sets"].contains("other.jsonl"));
  EXPECT_EQ(selfalign("contamination a --set none.csv").code, 3);
  EXPECT_EQ(selfalign("contamination a --ngram-words 1").code, 2);
  const Outcome broken =
      run_bash(runs_->folder(),
               "(cat mine.jsonl; echo; echo '{\"turns\":') >broken.jsonl && "
               "selfalign contamination a --set broken.jsonl");
  EXPECT_EQ(broken.code, 0) << broken.err;
  EXPECT_THAT(broken.err, HasSubstr("broken.jsonl: 1 of "));
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

TEST_F(LookingTest, WhatIsNoRunOrRowIsSaid) {
  for (const char* command : {"principles none", "principles none --judge m",
                              "chat none", "serve none", "show none a:0"}) {
    const Outcome outcome = selfalign(command);
    EXPECT_EQ(outcome.code, 3) << command;
    EXPECT_THAT(outcome.err,
                AllOf(HasSubstr("none: "), HasSubstr("no run folder")))
        << command;
  }
  EXPECT_THAT(selfalign("show a foo").err,
              HasSubstr("expected a row as STAGE:NUMBER, or its key of 16 "
                        "lower-case hex digits, found \"foo\""));
  const Outcome beyond = selfalign("show a align.pairs:99999");
  EXPECT_EQ(beyond.code, 3);
  EXPECT_THAT(beyond.err,
              HasSubstr("expected a row of align.pairs, which has "));
  EXPECT_THAT(beyond.err, HasSubstr("found 99999"));
}

// Single keys, a note on a line of its own, and the editor.
TEST_F(LookingTest, ReviewTakesKeysOnATerminal) {
  runs_->write("edit", "#!/bin/sh\necho 'Edited so.' >\"$1\"\n");
  Terminal terminal(runs_->folder(),
                    "export USER=ann VISUAL='sh ./edit' NO_COLOR=1\n"
                    "selfalign review b --stage verbose.pairs");
  EXPECT_TRUE(terminal.shows("verbose.pairs:0"));
  EXPECT_TRUE(terminal.shows("q quit"));
  terminal.press("n");
  EXPECT_TRUE(terminal.shows("note: "));
  terminal.press("too dry\n");
  terminal.press("d");
  EXPECT_TRUE(terminal.shows("verbose.pairs:1"));
  terminal.press("e");
  EXPECT_TRUE(terminal.shows("-> edit"));
  EXPECT_TRUE(terminal.shows("verbose.pairs:2"));
  terminal.press("q");
  EXPECT_EQ(terminal.end(), 0) << terminal.screen();
  EXPECT_THAT(terminal.screen(), HasSubstr("2 decided"));
  const std::string dropped = printed("show b verbose.pairs:0");
  EXPECT_THAT(dropped, HasSubstr("review by ann: drop"));
  EXPECT_THAT(dropped, HasSubstr("note: too dry"));
  EXPECT_THAT(printed("show b verbose.pairs:1"), HasSubstr("Edited so."));
}

// The screen is drawn anew until the run is done or someone has seen enough.
TEST_F(LookingTest, StatusIsWatchedOnATerminal) {
  constexpr char kClear[] = "\033[H\033[2J";
  std::filesystem::copy(runs_->path("b"), runs_->path("open"),
                        std::filesystem::copy_options::recursive);
  store::edit_store(runs_->path("open"),
                    "DELETE FROM meta WHERE name = 'done'");
  const std::string line =
      "export TERM=xterm\nunset NO_COLOR\n"
      "exec '" SELFALIGN_PROGRAM "' status open --watch";
  Terminal until_done(runs_->folder(), line);
  EXPECT_TRUE(until_done.shows(kClear));
  EXPECT_TRUE(until_done.shows("20/20 rows"));
  EXPECT_TRUE(until_done.shows("not done; go on with"));
  Terminal until_key(runs_->folder(), line);
  EXPECT_TRUE(until_key.shows("not done; go on with"));
  constexpr char kCtrlC[] = "\003";
  until_key.press(kCtrlC);
  EXPECT_EQ(until_key.end(), 0);
  EXPECT_THAT(until_key.screen(), Not(HasSubstr("interrupted")));
  {
    const auto at_work = store::Store::open(runs_->path("open"));
    EXPECT_THAT(printed("status open"), Not(HasSubstr("go on with")));
    at_work->set_meta(store::kDone, "1");
  }
  until_done.press("\n");
  EXPECT_EQ(until_done.end(), 0);
  EXPECT_THAT(until_done.screen(), HasSubstr("\ndone"));
}

TEST_F(LookingTest, ARunIsSignedAndTheSignatureAskedFor) {
  std::filesystem::copy(runs_->path("b"), runs_->path("signed"),
                        std::filesystem::copy_options::recursive);
  const std::string key = runs_->write("key.pem", store::kSigningKey);
  // Of another: RFC 8032, section 7.1, test 2.
  runs_->write("other.pem",
               "-----BEGIN PUBLIC KEY-----\n"
               "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
               "-----END PUBLIC KEY-----\n");
  std::filesystem::permissions(key, std::filesystem::perms(0644));
  const Outcome open_key = selfalign("resume signed --sign-key key.pem");
  EXPECT_EQ(open_key.code, 2);
  EXPECT_THAT(open_key.err, HasSubstr("chmod 600"));
  std::filesystem::permissions(key, std::filesystem::perms(0600));
  EXPECT_EQ(selfalign("resume signed --sign-key other.pem").code, 3);
  const Outcome unsigned_yet = selfalign("verify signed --key other.pem");
  EXPECT_EQ(unsigned_yet.code, 5);
  EXPECT_THAT(unsigned_yet.out, HasSubstr("found none"));
  EXPECT_THAT(unsigned_yet.out, Not(HasSubstr("damaged")));
  EXPECT_THAT(unsigned_yet.out, HasSubstr("\n1 problem\n"));
  EXPECT_THAT(selfalign("resume signed --sign-key key.pem").err,
              HasSubstr("already done, and signed; "));
  const std::string verified = printed("verify signed");
  const size_t at = verified.find("signed by ");
  ASSERT_NE(at, std::string::npos) << verified;
  const Outcome other = selfalign("verify signed --key other.pem");
  EXPECT_EQ(other.code, 5);
  EXPECT_THAT(other.out, HasSubstr("found one by "));
  EXPECT_EQ(selfalign("verify signed --key key.pem").code, 3);
  const Outcome without = selfalign("report signed");
  EXPECT_EQ(without.code, 2);
  EXPECT_THAT(without.err, HasSubstr("--sign-key"));
  EXPECT_THAT(printed("verify signed"), HasSubstr("signed by "));
  printed("report signed --out elsewhere.html");
  printed("report signed --sign-key key.pem");
  printed("verify signed");
  store::edit_store(runs_->path("signed"),
                    "UPDATE completions SET thought = 'other'");
  for (const char* command :
       {"resume signed --fork new", "report signed --sign-key key.pem",
        "resume signed --sign-key key.pem"}) {
    const Outcome changed = selfalign(command);
    EXPECT_EQ(changed.code, 5) << command;
    EXPECT_THAT(changed.err, HasSubstr("another hand")) << command;
  }
}

// A set that a recipe names is read again by whoever goes on with the run.
TEST_F(LookingTest, APipeIsNoSetOfARun) {
  std::filesystem::copy(runs_->path("b"), runs_->path("pipes"),
                        std::filesystem::copy_options::recursive);
  ASSERT_EQ(run_bash(runs_->folder(), "mkfifo pipe").code, 0);
  runs_->replace("pipes/recipe.resolved.yaml", "sets:\n    []",
                 "sets: [" + runs_->path("pipe") + "]");
  const Outcome asked = selfalign("contamination pipes");
  EXPECT_EQ(asked.code, 3);
  EXPECT_THAT(asked.err, HasSubstr("this is a pipe, not a regular file"));
  EXPECT_THAT(selfalign("verify pipes").out,
              HasSubstr("this is a pipe, not a regular file"));
  const Outcome given =
      run_bash(runs_->folder(),
               "echo '{\"question\": \"Why is it so?\"}' > pipe & "
               "selfalign contamination pipes --set pipe");
  EXPECT_EQ(given.code, 0) << given.err;
}

// Values of other types, cut off files, flipped bits: never a signal.
TEST_F(LookingTest, DamageIsSaidByEveryCommand) {
  const std::string script =
      std::filesystem::current_path() / "tools/check_damage.py";
  const bool is_full = std::getenv("SELFALIGN_FULL_TESTS") != nullptr;
  const Outcome outcome = run_bash(
      runs_->folder(), str("python3 -B ", script, " b --program '",
                           SELFALIGN_PROGRAM, "' --count ", is_full ? 100 : 3));
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
}

TEST_F(LookingTest, ReviewWaitsForNoWriter) {
  const auto writer = store::Store::open(runs_->path("b"));
  const Outcome refused = selfalign("review b", "k\n");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("process " + std::to_string(getpid())));
}

// A judge that is not there leaves nothing behind.
TEST_F(LookingTest, PrinciplesAreJudgedByAModelThatIsThere) {
  EXPECT_EQ(selfalign("principles a --judge nope").code, 3);
  EXPECT_FALSE(std::filesystem::exists(runs_->path("a/evaluation")));
  for (const char* more :
       {"--per-rule 2", "--max-tokens 9", "--judge nope --csv"}) {
    const Outcome outcome = selfalign(std::string("principles a ") + more);
    EXPECT_EQ(outcome.code, 2) << more;
    EXPECT_THAT(outcome.err, HasSubstr("has no effect")) << more;
  }
}

}  // namespace
}  // namespace selfalign::tests
