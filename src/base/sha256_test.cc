// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace selfalign {
namespace {

// The examples of FIPS 180-2, appendix B.
TEST(Sha256, IsTheStandards) {
  EXPECT_EQ(sha256_bytes(""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_bytes("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_bytes(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OfBytesOneAfterAnother) {
  EXPECT_EQ(Sha256().add("a").add("").add("bc").hex(), sha256_bytes("abc"));
  EXPECT_EQ(to_hex(std::string("\0\xaf", 2)), "00af");
}

TEST(Sha256, OfAFile) {
  const std::string path = testing::TempDir() + "/sha256_test";
  write_file_atomic(path, "abc");
  EXPECT_EQ(sha256_file(path), sha256_bytes("abc"));
  write_file_atomic(path, "");
  EXPECT_EQ(sha256_file(path), sha256_bytes(""));
  EXPECT_THROW(sha256_file(path + ".absent"), Error);
}

}  // namespace
}  // namespace selfalign
