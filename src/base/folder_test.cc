// SPDX-License-Identifier: Apache-2.0
#include "base/folder.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Folder, IsListedInOrder) {
  const ScratchFolder scratch;
  const std::string& top = scratch.path();
  make_folder(top + "/b/c");
  for (const char* name : {"/b/c/f", "/b/e", "/a"}) {
    write_file_atomic(top + name, "");
  }
  std::filesystem::create_directory_symlink(top, top + "/b/loop");
  EXPECT_THAT(list_folder(top), ElementsAre(top + "/a", top + "/b"));
  EXPECT_THAT(list_files_below(top),
              ElementsAre(top + "/a", top + "/b/c/f", top + "/b/e"));
}

TEST(Folder, WhatIsNoneIsAnError) {
  const ScratchFolder scratch;
  write_file_atomic(scratch.path() + "/f", "");
  for (const auto list : {list_folder, list_files_below}) {
    for (const char* name : {"/f", "/none"}) {
      const Error error = error_of([&] { list(scratch.path() + name); });
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), HasSubstr("cannot read the folder "));
    }
  }
}

}  // namespace
}  // namespace selfalign
