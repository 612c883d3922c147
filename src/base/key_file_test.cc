// SPDX-License-Identifier: Apache-2.0
#include "base/key_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using testing::HasSubstr;
using testing::Not;

class KeyFileTest : public testing::Test {
 protected:
  std::string write(mode_t mode) const {
    write_file_atomic(file_, "k-secret\n");
    ::chmod(file_.c_str(), mode);
    return file_;
  }
  static Error refusal(const std::string& file) {
    const Error error = error_of([&] { read_key_file(file, 100); });
    EXPECT_THAT(error.what(), HasSubstr(file));
    EXPECT_THAT(error.what(), Not(HasSubstr("k-secret")));
    return error;
  }

  const ScratchFolder folder_;
  const std::string file_ = folder_.path() + "/key";
};

TEST_F(KeyFileTest, IsReadWhereItIsItsOwnersAlone) {
  for (const mode_t mode : {0600U, 0400U, 0700U}) {
    EXPECT_EQ(read_key_file(write(mode), 9), "k-secret\n") << mode;
  }
  const std::string link = folder_.path() + "/link";
  ASSERT_EQ(::symlink(file_.c_str(), link.c_str()), 0);
  EXPECT_EQ(read_key_file(link, 9), "k-secret\n");
  EXPECT_EQ(error_of([&] { read_key_file(file_, 8); }).kind(),
            ErrorKind::kInput);
}

TEST_F(KeyFileTest, WhatOthersMayReadOrChangeIsRefused) {
  for (const mode_t mode :
       {0644U, 0640U, 0604U, 0620U, 0602U, 0610U, 0601U, 0666U, 04644U}) {
    const Error error = refusal(write(mode));
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << mode;
    EXPECT_THAT(error.what(), HasSubstr("chmod 600 " + file_)) << mode;
  }
}

TEST_F(KeyFileTest, AnotherUsersFileIsRefused) {
  write(0600);
  if (::chown(file_.c_str(), 12345, 12345) != 0) {
    GTEST_SKIP() << "only root can give a file to another user";
  }
  const Error error = refusal(file_);
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("to user 12345"));
}

TEST_F(KeyFileTest, WhatIsNoFileIsRefusedWithoutWaiting) {
  const std::string pipe = folder_.path() + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(refusal(pipe).what(), HasSubstr("this is a pipe"));
  EXPECT_THAT(refusal(folder_.path()).what(), HasSubstr("this is a folder"));
  EXPECT_THAT(refusal("/dev/null").what(), HasSubstr("this is a device"));
  EXPECT_EQ(refusal(folder_.path() + "/absent").kind(), ErrorKind::kInput);
}

}  // namespace
}  // namespace selfalign
