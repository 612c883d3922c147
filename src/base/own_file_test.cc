// SPDX-License-Identifier: Apache-2.0
#include "base/own_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class OwnFileTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const {
    return scratch_.path() + "/" + name;
  }

  const ScratchFolder scratch_;
};

TEST_F(OwnFileTest, GrowsAtItsEndAndIsCut) {
  {
    OwnFile file(path("f"), 0);
    file.append("one");
    file.append(" two");
    file.sync();
  }
  OwnFile(path("f")).append("!");
  EXPECT_EQ(read_file(path("f")), "one two!");
  OwnFile(path("f"), 3).append(".");
  EXPECT_EQ(read_file(path("f")), "one.");
  EXPECT_EQ(kind_of([&] { OwnFile file(path("no/f"), 0); }),
            ErrorKind::kResources);
}

// Whoever made the folder may have laid out where the bytes shall go.
TEST_F(OwnFileTest, WhatIsNoPlainFileIsNotWrittenTo) {
  write_file_atomic(path("precious"), "precious");
  fs::create_symlink(path("precious"), path("link"));
  fs::create_symlink(path("new"), path("dangling"));
  fs::create_symlink("/dev/null", path("device"));
  fs::create_symlink(path("loop"), path("loop"));
  make_folder(path("folder"));
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const int reader = ::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  for (const char* name :
       {"link", "dangling", "device", "loop", "folder", "pipe"}) {
    const Error error = error_of([&] { OwnFile file(path(name), 0); });
    EXPECT_EQ(error.kind(), ErrorKind::kDamaged) << name;
    EXPECT_THAT(error.what(), AllOf(HasSubstr(path(name) + ": this is a "),
                                    HasSubstr("not a file of the run")));
    EXPECT_EQ(kind_of([&] { OwnFile file(path(name)); }), ErrorKind::kDamaged);
    EXPECT_EQ(kind_of([&] { open_own_file(path(name), O_RDWR); }),
              ErrorKind::kDamaged);
  }
  ::close(reader);
  EXPECT_EQ(read_file(path("precious")), "precious");
  EXPECT_FALSE(fs::exists(path("new")));
}

TEST_F(OwnFileTest, FoldersInAFolderAreNoLinks) {
  make_folder(path("elsewhere"));
  fs::create_directory_symlink(path("elsewhere"), path("run"));
  make_folder_in(path("run"), "items/base");  // a person's own link
  EXPECT_TRUE(fs::is_directory(path("elsewhere/items/base")));
  fs::create_directory_symlink(path("elsewhere"), path("run/adapter"));
  fs::create_directory_symlink(path("none"), path("run/items/dangling"));
  write_file_atomic(path("run/file"), "");
  for (const char* name :
       {"adapter", "adapter/deep", "items/dangling", "file"}) {
    const Error error = error_of([&] { make_folder_in(path("run"), name); });
    EXPECT_EQ(error.kind(), ErrorKind::kDamaged) << name;
    EXPECT_THAT(error.what(), HasSubstr("not a folder of the run"));
  }
  EXPECT_FALSE(fs::exists(path("elsewhere/deep")));
  EXPECT_FALSE(fs::exists(path("none")));
}

TEST_F(OwnFileTest, APathThatLeadsOutOfAFolderIsRefused) {
  make_folder(path("elsewhere/run/tuning"));
  write_file_atomic(path("elsewhere/run/tuning/file"), "");
  fs::create_directory_symlink(path("elsewhere/run"), path("run"));
  for (const char* good : {"tuning/file", "tuning", "none/file", ""}) {
    EXPECT_NO_THROW(require_own_path(path("run"), good)) << good;
  }
  fs::create_directory_symlink(path("elsewhere"), path("run/linked"));
  fs::create_symlink(path("run/tuning/file"), path("run/tuning/link"));
  fs::create_symlink(path("none"), path("run/dangling"));
  for (const char* bad :
       {"linked", "linked/run/tuning/file", "tuning/link", "dangling",
        "../run/tuning/file", "tuning/../../run", "/etc/passwd"}) {
    EXPECT_EQ(kind_of([&] { require_own_path(path("run"), bad); }),
              ErrorKind::kDamaged)
        << bad;
  }
}

}  // namespace
}  // namespace selfalign
