// SPDX-License-Identifier: Apache-2.0
#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"

namespace selfalign::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kNames = {"run", "status", "show"};
using Words = std::vector<std::string>;

TEST(CommandLine, HelpAndVersionAreOptions) {
  EXPECT_THAT(command_line({"help"}, kNames), ElementsAre("--help"));
  EXPECT_THAT(command_line({"--json", "help", "show"}, kNames),
              ElementsAre("show", "--help"));
  EXPECT_THAT(command_line({"help", "--help"}, kNames), ElementsAre("--help"));
  EXPECT_THAT(command_line({"version"}, kNames), ElementsAre("--version"));
  for (const Words& same :
       {Words{"--help"}, Words{"--version"}, Words{"show", "RUN", "help"},
        Words{"-q", "status", "--help"}}) {
    EXPECT_EQ(command_line(same, kNames), same);
  }
}

TEST(CommandLine, AnOptionWithAValueMayStandFirst) {
  EXPECT_THAT(command_line({"-q", "--profile", "f", "show", "x"}, kNames),
              ElementsAre("-q", "--profile=f", "show", "x"));
  EXPECT_THAT(command_line({"show", "--profile", "f"}, kNames),
              ElementsAre("show", "--profile", "f"));
}

TEST(CommandLine, WhatIsNoCommandIsNamed) {
  const auto said = [](const Words& words) {
    const Error error = error_of([&] { command_line(words, kNames); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return std::string(error.what());
  };
  EXPECT_EQ(said({"staus", "RUN"}),
            "selfalign: no command is named staus; did you mean status? "
            "\"selfalign --help\" lists all");
  EXPECT_EQ(said({"--json", "frobnicate", "--help"}),
            "selfalign: no command is named frobnicate; "
            "\"selfalign --help\" lists all");
  EXPECT_THAT(said({"help", "trace"}), HasSubstr("no command is named trace"));
  EXPECT_THAT(said({}), HasSubstr("no command is given"));
  EXPECT_THAT(said({"--json"}), HasSubstr("no command is given"));
}

}  // namespace
}  // namespace selfalign::cli
