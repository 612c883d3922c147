// SPDX-License-Identifier: Apache-2.0
#include "store/set_digest.h"

#include <gtest/gtest.h>

namespace selfalign::store {
namespace {

TEST(SetDigest, IsOfASetWhateverTheOrder) {
  SetDigest one, other;
  for (const char* entry : {"a", "b", "c"}) one.add(entry);
  for (const char* entry : {"c", "x", "a", "b"}) other.add(entry);
  EXPECT_NE(one, other);
  other.remove("x");
  EXPECT_EQ(one, other);
  other.add("a");  // twice
  EXPECT_NE(one, other);
}

TEST(SetDigest, IsTheSumOfShake128) {
  SetDigest digest;
  digest.add("");
  // FIPS 202: SHAKE128 of nothing.
  EXPECT_EQ(digest.bytes().substr(0, 8), "\x7f\x9c\x2b\xa4\xe8\x8f\x82\x7d");
  digest.add("");
  // 0x9c7f + 0x9c7f, the carry lost.
  EXPECT_EQ(digest.bytes().substr(0, 2), "\xfe\x38");
}

TEST(SetDigest, IsReadBack) {
  SetDigest digest, copy;
  digest.add("a");
  ASSERT_TRUE(copy.set_bytes(digest.bytes()));
  EXPECT_EQ(copy, digest);
  EXPECT_FALSE(copy.set_bytes(digest.bytes() + "x"));
}

}  // namespace
}  // namespace selfalign::store
