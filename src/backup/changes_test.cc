// SPDX-License-Identifier: Apache-2.0
#include "backup/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/testing.h"

namespace selfalign::backup {
namespace {

using testing::HasSubstr;

class ChangesTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const {
    return scratch_.path() + "/" + name;
  }
  Changes write(const std::string& before, const std::string& now) const {
    write_file_atomic(path("before"), before);
    write_file_atomic(path("now"), now);
    return write_changes(path("before"), path("now"), path("changes"));
  }
  void apply(const std::string& sha256, int64_t size) const {
    apply_changes(path("changes"), sha256, path("before"), size);
  }

  const ScratchFolder scratch_;
};

TEST_F(ChangesTest, MakeAFileWhatItIsNow) {
  const std::string before(5 * 4096 + 512, 'a');
  std::string other = before;
  other[4096] = other[3 * 4096 - 1] = 'b';
  const Changes changes = write(before, other);
  EXPECT_EQ(changes.num_blocks, 2);
  EXPECT_EQ(changes.num_bytes, 2 * (8 + 4096));
  EXPECT_EQ(changes.sha256, sha256_file(path("changes")));
  for (const std::string& now :
       {other, before, before + std::string(9000, 'c'), before.substr(0, 4000),
        std::string(), before.substr(0, 4096)}) {
    const Changes its = write(before, now);
    apply(its.sha256, static_cast<int64_t>(now.size()));
    EXPECT_EQ(read_file(path("before")), now);
    // Once more, as after a kill between the two.
    apply(its.sha256, static_cast<int64_t>(now.size()));
    EXPECT_EQ(read_file(path("before")), now);
  }
}

TEST_F(ChangesTest, AFileThatWasHalfMadeIsMadeWhole) {
  std::string before(8 * 4096, 'a'), now(8 * 4096, 'b');
  const Changes changes = write(before, now);
  before.replace(0, 3 * 4096 + 7, std::string(3 * 4096 + 7, 'b'));
  write_file_atomic(path("before"), before);
  apply(changes.sha256, static_cast<int64_t>(now.size()));
  EXPECT_EQ(read_file(path("before")), now);
}

TEST_F(ChangesTest, OtherChangesAreDamage) {
  const auto refused = [&](const std::string& changes, int64_t size) {
    write_file_atomic(path("changes"), changes);
    return refusal_of([&] { apply(sha256_bytes(changes), size); },
                      ErrorKind::kDamaged);
  };
  const Changes changes = write(std::string(4096, 'a'), std::string(4096, 'b'));
  EXPECT_THAT(refusal_of([&] { apply(std::string(64, '0'), 4096); },
                         ErrorKind::kDamaged),
              HasSubstr(changes.sha256));
  EXPECT_THAT(refused("some", 4096), HasSubstr("a part of a block"));
  EXPECT_THAT(refused(std::string(8 + 4096, '\xff'), 4096),
              HasSubstr("behind its end"));
  EXPECT_THAT(refused(std::string(8 + 4096, '\0'), 0),
              HasSubstr("behind its end"));
  EXPECT_EQ(read_file(path("before")), std::string(4096, 'a'));
}

}  // namespace
}  // namespace selfalign::backup
