// SPDX-License-Identifier: Apache-2.0
#include "formats/model_path.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/testing.h"

namespace selfalign::formats {
namespace {

using testing::HasSubstr;

TEST(ModelPath, KnowsAGgufByWhatIsInIt) {
  const ScratchFolder scratch;
  for (const char* name : {"noext", "M.GGUF", "sha256-0123abcd", "m.bin"}) {
    const std::string path = scratch.path() + "/" + name;
    write_file_atomic(path, "GGUF\3\0\0\0");
    EXPECT_TRUE(is_gguf(path)) << name;
    EXPECT_EQ(model_form(path), ModelForm::kGguf) << name;
  }
  EXPECT_EQ(model_form(scratch.path()), ModelForm::kFolder);
  EXPECT_FALSE(is_gguf(scratch.path()));
  // What is wrong in it is for its reader to say.
  for (const char* name : {"cut.gguf", "cut.GGUF"}) {
    write_file_atomic(scratch.path() + "/" + name, "GG");
    EXPECT_EQ(model_form(scratch.path() + "/" + name), ModelForm::kGguf);
  }
}

TEST(ModelPath, RefusesWhatIsNoModel) {
  const ScratchFolder scratch;
  const auto refusal = [&](const std::string& name) {
    const Error error = error_of([&] { model_form(scratch.path() + name); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return std::string(error.what());
  };
  EXPECT_THAT(refusal("/none"), HasSubstr("No such file"));
  write_file_atomic(scratch.path() + "/weights", "\x10");
  EXPECT_THAT(
      refusal("/weights"),
      HasSubstr("/weights: this is no model, which is an HF folder or a "
                "GGUF file: a file of another kind; give the folder"));
  EXPECT_THAT(refusal("/weights/below"), HasSubstr("Not a directory"));
  write_file_atomic(scratch.path() + "/lfs",
                    "\xef\xbb\xbfversion https://git-lfs.github.com/spec/v1\r\n"
                    "oid ...\r\n");
  EXPECT_THAT(refusal("/lfs"), HasSubstr("git lfs pull"));
}

}  // namespace
}  // namespace selfalign::formats
