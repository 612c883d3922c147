// SPDX-License-Identifier: Apache-2.0
#include "base/user_path.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/testing.h"

namespace selfalign {
namespace {

using testing::HasSubstr;

class UserPathTest : public testing::Test {
 protected:
  void SetUp() override { ::setenv("HOME", "/people/ada", 1); }
  void TearDown() override { ::setenv("HOME", old_.c_str(), 1); }

 private:
  const char* const known_ = std::getenv("HOME");
  const std::string old_ = known_ != nullptr ? known_ : "/";
};

TEST_F(UserPathTest, TheTildeIsTheHomeFolder) {
  EXPECT_EQ(user_path("~"), "/people/ada");
  EXPECT_EQ(user_path("~/"), "/people/ada/");
  EXPECT_EQ(user_path("~/models/m.gguf"), "/people/ada/models/m.gguf");
  EXPECT_EQ(user_path("~root/x").substr(user_path("~root").size()), "/x");
  ::unsetenv("HOME");  // the system knows it, too
  EXPECT_TRUE(user_path("~/x").starts_with('/')) << user_path("~/x");
  ::setenv("HOME", "/", 1);
  EXPECT_EQ(user_path("~/x"), "/x");
}

TEST_F(UserPathTest, OtherPathsStayAsTheyAre) {
  for (const char* path : {"", "a", "./~", "./~/x", "/a/~/b", "a~", "a$HOME",
                           "a b ", "file:a", "../x"}) {
    EXPECT_EQ(user_path(path), path);
  }
}

TEST_F(UserPathTest, RefusesWhatNobodyReplaces) {
  const auto refusal = [](const char* path) {
    const Error error = error_of([&] { user_path(path); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return std::string(error.what());
  };
  EXPECT_THAT(refusal("$HOME/x"), HasSubstr("variable in \"$HOME/x\""));
  EXPECT_THAT(refusal("${HOME}/x"), HasSubstr("variable"));
  EXPECT_THAT(refusal("a/$HOME/run"), HasSubstr("variable in \"a/$HOME/run\""));
  EXPECT_THAT(refusal(" runs/x"),
              HasSubstr("a blank before it in \" runs/x\""));
  EXPECT_THAT(refusal("file:///runs/x"), HasSubstr("without file://"));
  EXPECT_THAT(
      refusal("~no-such-user/x"),
      HasSubstr("there is no user of that name in \"~no-such-user/x\""));
}

}  // namespace
}  // namespace selfalign
