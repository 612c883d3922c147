// SPDX-License-Identifier: Apache-2.0
// As faults_test, with the program itself: trainer, engine and server on a tiny
// model. The disk holds the model, the data and the prompts, too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "end_to_end/tiny_model.h"
#include "faults/faults.h"

namespace selfalign::tests {
namespace {

namespace fs = std::filesystem;

class ProgramFaultsTest : public ::testing::TestWithParam<const char*>,
                          public Faults {
 protected:
  ProgramFaultsTest() {
    make_tiny_model(disk("model"));
    fs::copy("prompts", disk("prompts"), fs::copy_options::recursive);
    std::string rows;
    for (char letter = 'a'; letter < 'i'; ++letter) {
      rows += str(R"({"instruction": "Say )", letter, R"(.", "output": ")",
                  std::string(6, letter), "\"}\n");
    }
    write_file_atomic(disk("data.jsonl"), rows);
    // Two steps of tuning with a checkpoint after each.
    write_file_atomic(disk("recipe.yaml"), R"(
name: small
run_folder: run
stages: [tune]
model: {path: model, device: cpu, dtype: float32, num_slots: 2,
        max_context: 4096}
prompts_folder: prompts
data: {path: data.jsonl}
tune: {epochs: 1, batch_size: 4, max_length: 1024, warmup_steps: 1,
       checkpoint_steps: 1}
num_held_out: 1
)");
  }

  Ended tune(const std::optional<Fault>& fault = {}) const {
    return run(
        "exec '" SELFALIGN_PROGRAM "' --json run '" + disk("recipe.yaml") + "'",
        fault);
  }
  Ended serve(const std::optional<Fault>& fault = {}) const {
    return run("exec '" SELFALIGN_PROGRAM "' --json serve '" + disk("run") +
                   "' --port 0",
               fault, "\"url\"");
  }
  static Json digest_of(const Ended& ended) {
    EXPECT_EQ(ended.code, 0) << ended.err;
    return parse_json(ended.out, "stdout")["digest"];
  }
};

TEST_P(ProgramFaultsTest, AtEveryCallOfATuningTheRunComesToTheSameEnd) {
  const std::string kind = GetParam();
  const Json digest = digest_of(tune(Fault{kind}));
  const int64_t num_all = num_calls();
  ASSERT_GT(num_all, 200);
  for (const int64_t at : fault_points(num_all)) {
    SCOPED_TRACE(str(kind, " at call ", at, " of ", num_all));
    fs::remove_all(disk("run"));
    const Fault fault{kind, at};
    check_end_under(fault, tune(fault));
    ASSERT_EQ(digest_of(tune()), digest);
    ASSERT_TRUE(is_sound(disk("run")));
  }
}

// A server changes nothing, however it ends.
TEST_P(ProgramFaultsTest, AtEveryCallOfAServersStartTheRunStays) {
  const std::string kind = GetParam();
  const Json digest = digest_of(tune());
  ASSERT_EQ(serve(Fault{kind}).code, 0);
  const int64_t num_all = num_calls();
  ASSERT_GT(num_all, kind == "read" ? 40 : 0);
  for (const int64_t at : fault_points(num_all)) {
    SCOPED_TRACE(str(kind, " at call ", at, " of ", num_all));
    const Fault fault{kind, at};
    check_end_under(fault, serve(fault));
    ASSERT_TRUE(is_sound(disk("run")));
  }
  ASSERT_EQ(digest_of(tune()), digest);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ProgramFaultsTest,
                         testing::Values("kill_before", "kill_after", "eio",
                                         "enospc", "short", "read"),
                         [](const auto& kind) {
                           return std::string(kind.param);
                         });

}  // namespace
}  // namespace selfalign::tests
