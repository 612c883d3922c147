// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace selfalign {
namespace {

TEST(Hasher, FieldsDoNotRunTogether) {
  EXPECT_NE(Hasher().add("ab").add("c").key(),
            Hasher().add("a").add("bc").key());
  EXPECT_NE(Hasher().add("").add("").digest(), Hasher().add("").digest());
  EXPECT_NE(Hasher().add(uint64_t{1}).add(uint64_t{2}).key(),
            Hasher().add(uint64_t{2}).add(uint64_t{1}).key());
  EXPECT_EQ(Hasher().add("ab").add(uint64_t{3}).key(),
            Hasher().add("ab").add(uint64_t{3}).key());
}

// The layout of fields is part of every stored key: it must never change.
TEST(Hasher, KeepsItsLayout) {
  const std::string fields(
      "\2\0\0\0\0\0\0\0ab\10\0\0\0\0\0\0\0\5\1\0\0\0\0\0\0", 26);
  Hasher hasher;
  hasher.add("ab").add(uint64_t{261});
  EXPECT_EQ(hasher.digest(), digest_bytes(fields));
  EXPECT_EQ(key_to_hex(hasher.key()), hasher.digest().substr(16));
}

// XXH3's published answer for no bytes with seed 0.
TEST(Digest, GivesThePublishedAnswer) {
  EXPECT_EQ(digest_bytes(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Digest, OfAFileIsThatOfItsBytes) {
  const std::string path = testing::TempDir() + "selfalign_digest";
  write_file_atomic(path, "some bytes");
  EXPECT_EQ(digest_file(path), digest_bytes("some bytes"));
  EXPECT_NE(digest_file(path), digest_bytes("some bytez"));
  EXPECT_THROW(digest_file(path + ".none"), Error);
}

TEST(Key, GoesToHexAndBack) {
  EXPECT_EQ(key_to_hex(0x0123456789abcdef), "0123456789abcdef");
  EXPECT_EQ(key_to_hex(5), "0000000000000005");
  for (const uint64_t key : {uint64_t{0}, ~uint64_t{0}, uint64_t{1} << 63}) {
    EXPECT_EQ(key_from_hex(key_to_hex(key)), key);
  }
  for (const char* bad :
       {"", "5", "000000000000000g", "0000000000000000a", "000000000000000A"}) {
    EXPECT_THROW(key_from_hex(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace selfalign
