// SPDX-License-Identifier: Apache-2.0
#include "cli/evaluation_prompts.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "recipe/run_files.h"

namespace selfalign::cli {
namespace {

TEST(EvaluationPromptsTest, AreThoseNamedElseTheRunsElseOurs) {
  const ScratchFolder folder;
  const std::string run = folder.path() + "/run";
  const std::string own = folder.path() + "/own";
  make_folder(run);
  make_folder(own);
  write_file_atomic(run + recipe::kRecipeFile,
                    "name: small\nmodel: {path: m}\nrun_folder: " + run +
                        "\nprompts_folder: " + own + "\nstages: []\n");
  const auto found = [&](const std::string& given, const std::string& of) {
    return find_prompts_with("judge.yaml", given, of);
  };
  EXPECT_EQ(found("", run), "prompts") << "the run's has no such file";
  write_file_atomic(own + "/judge.yaml", "");
  EXPECT_EQ(found("", run), own);
  EXPECT_EQ(found("named", run), "named");
  EXPECT_EQ(found("named", ""), "named");
  EXPECT_EQ(found("", ""), "prompts");
}

}  // namespace
}  // namespace selfalign::cli
