// SPDX-License-Identifier: Apache-2.0
// `selfalign backup` and `selfalign restore` from a shell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "program.h"
#include "scripted_runs.h"
#include "tiny_model.h"

namespace selfalign::tests {
namespace {

using ::testing::HasSubstr;

class BackupProgramTest : public ScriptedRunsTest {
 protected:
  Outcome bash(const std::string& line) const {
    return run_bash(folder(), line);
  }
};

TEST_F(BackupProgramTest, SaysWhatItWroteAndRestoreChecksIt) {
  run_until(small_recipe(path("run")), after_commits(20));
  const Outcome first = bash("selfalign backup run kept/a");
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("/run: backed up: "));
  const Outcome second = bash("selfalign backup run kept/a --json");
  const Json report = second.lines().at(0);
  EXPECT_EQ(report["files_written"], 0);
  EXPECT_EQ(report["blocks_written"], 0);
  EXPECT_EQ(report["done"], false);
  const Outcome restored = bash("selfalign restore kept/a new/run");
  EXPECT_EQ(restored.code, 0) << restored.err;
  EXPECT_THAT(restored.out, HasSubstr("go on with: selfalign resume "));
  EXPECT_EQ(bash("selfalign verify new/run").code, 0);
  EXPECT_EQ(bash("selfalign restore kept/a new/run").code, 2);
}

TEST_F(BackupProgramTest, ACommandTakesAnArchive) {
  run(small_recipe(path("run")));
  const Outcome piped = bash(
      "selfalign backup run --command 'gzip > a.tar.gz' >&2 && "
      "gunzip a.tar.gz && selfalign restore a.tar new --json");
  EXPECT_EQ(piped.code, 0) << piped.err;
  EXPECT_EQ(piped.lines().back()["done"], true);
  EXPECT_EQ(bash("selfalign verify new").code, 0);
  const Outcome failed = bash("selfalign backup run --command 'exit 9'");
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.err, HasSubstr("ended with status 9"));
}

TEST_F(BackupProgramTest, GoesOnUntilTheRunIsDone) {
  run_until(small_recipe(path("run")), after_commits(20));
  // Stopped while it waits for the next.
  const Outcome stopped =
      bash("'" SELFALIGN_PROGRAM
           "' backup run kept --every 3600 >said & backup=$!; "
           "for _ in $(seq 1200); do [ -s said ] && break; sleep 0.1; done; "
           "kill $backup; wait $backup");
  EXPECT_EQ(stopped.code, 75);
  EXPECT_THAT(stopped.err, HasSubstr("the last backup is whole"));
  run(small_recipe(path("run")));
  const Outcome done = bash("selfalign backup run kept --every 1");
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("; the run is done"));
}

// The real trainer, killed between two of its steps.
TEST_F(BackupProgramTest, ATrainingGoesOnFromItsCheckpoint) {
  make_tiny_model(path("model"));
  std::filesystem::copy("prompts", path("prompts"),
                        std::filesystem::copy_options::recursive);
  std::string rows;
  for (int i = 0; i < 1200; ++i) {
    rows += str(R"({"instruction": "Say )", i, R"(.", "output": ")",
                std::string(20, static_cast<char>('a' + i % 26)), "\"}\n");
  }
  write("data.jsonl", rows);
  write("recipe.yaml", R"(
name: small
run_folder: run
stages: [tune]
model: {path: model, device: cpu, dtype: float32, num_slots: 2,
        max_context: 4096}
prompts_folder: prompts
data: {path: data.jsonl}
tune: {epochs: 2, batch_size: 4, max_length: 1024, warmup_steps: 1,
       checkpoint_steps: 1}
num_held_out: 1
)");
  const Outcome whole =
      bash("selfalign run recipe.yaml --run-folder whole --json");
  ASSERT_EQ(whole.code, 0) << whole.err;
  const Outcome resumed = bash(
      "'" SELFALIGN_PROGRAM
      "' run recipe.yaml >log 2>&1 & pid=$!\n"
      "until [ -e run/tuned/checkpoint.json ]; do\n"
      "  kill -0 $pid || exit 9; sleep 0.02\n"
      "done\n"
      "selfalign backup run kept --json >backed && kill -9 $pid; wait $pid\n"
      "grep -q '\"done\":false' backed || exit 8\n"
      "rm -r run && selfalign restore kept run >&2 && "
      "selfalign resume run --json");
  ASSERT_EQ(resumed.code, 0) << resumed.err << resumed.out;
  EXPECT_EQ(resumed.lines().back()["digest"], whole.lines()[0]["digest"]);
  EXPECT_EQ(bash("selfalign verify run").code, 0);
}

TEST_F(BackupProgramTest, WhatIsWrongIsSaid) {
  run_until(small_recipe(path("run")), after_commits(20));
  EXPECT_EQ(bash("selfalign backup run").code, 2);
  EXPECT_EQ(bash("selfalign backup run kept --command cat").code, 2);
  EXPECT_EQ(bash("selfalign backup run run/kept").code, 2);
  EXPECT_EQ(bash("selfalign backup run kept --every 0").code, 2);
  EXPECT_EQ(bash("selfalign backup none kept").code, 3);
  EXPECT_EQ(bash("ls kept").code, 2);
  EXPECT_EQ(bash("selfalign restore run new").code, 3);
  const Outcome full =
      bash("ulimit -f 64; selfalign backup run kept 2>&1; echo $?");
  EXPECT_THAT(full.out, HasSubstr("cannot"));
  EXPECT_THAT(full.out, HasSubstr("\n4\n"));
}

}  // namespace
}  // namespace selfalign::tests
