// SPDX-License-Identifier: Apache-2.0
#include "cli/judge_model.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"

namespace selfalign::cli {
namespace {

TEST(OpenJudgeTest, AModelWithTheMarksOfAChatIsAskedInThem) {
  JudgeFlags flags;
  flags.judge = ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(flags.judge)) {
    GTEST_SKIP() << "no " << flags.judge;
  }
  flags.model.model.max_context = 64;
  const ScratchFolder folder;
  OpenJudge judge(flags, folder.path());
  EXPECT_EQ(judge.judge().options().layout.name, "chatml");
  EXPECT_NE(judge.judge().options().tokenizer, nullptr);
}

}  // namespace
}  // namespace selfalign::cli
