// SPDX-License-Identifier: Apache-2.0
#include "text/charsmap.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "base/random.h"

namespace selfalign::text {
namespace {

using testing::HasSubstr;

std::string number(uint32_t value) {
  std::string out;
  for (int shift = 0; shift < 32; shift += 8) {
    out += static_cast<char>(value >> shift & 0xFF);
  }
  return out;
}

// "a" becomes "x" and "ab" becomes "yy", by hand: the first unit leads to 0x100
// and on, 'a' is at 0x100 ^ 'a', and so on in blocks of 256.
std::vector<uint32_t> units() {
  std::vector<uint32_t> all(0x400, 0x80000000U);
  const auto leads_to = [](uint32_t offset) { return offset << 10; };
  constexpr uint32_t kEnds = 1 << 8;
  const uint32_t a = 0x100 ^ 'a';
  const uint32_t b = 0x200 ^ 'b';
  all[0] = leads_to(0x100);
  all[a] = leads_to(a ^ 0x200) | kEnds | 'a';
  all[0x200] = 0x80000000U | 0;  // the value of "a"
  all[b] = leads_to(b ^ 0x300) | kEnds | 'b';
  all[0x300] = 0x80000000U | 2;
  return all;
}

std::string blob(const std::vector<uint32_t>& all,
                 const std::string& replacements) {
  std::string out = number(static_cast<uint32_t>(4 * all.size()));
  for (const uint32_t unit : all) out += number(unit);
  return out + replacements;
}
const std::string kReplacements("x\0yy\0", 5);

TEST(CharsmapTest, TakesTheLongestOrTheShortest) {
  const Charsmap map(blob(units(), kReplacements), "test");
  ASSERT_TRUE(map.longest("abc"));
  EXPECT_EQ(map.longest("abc")->length, 2u);
  EXPECT_EQ(map.longest("abc")->replacement, "yy");
  EXPECT_EQ(map.shortest("abc")->length, 1u);
  EXPECT_EQ(map.shortest("abc")->replacement, "x");
  EXPECT_EQ(map.of_ascii('a')->replacement, "x");
  EXPECT_FALSE(map.of_ascii('b'));
  EXPECT_FALSE(map.longest("b") || map.longest("") || map.longest("\xff"));
}

TEST(CharsmapTest, WrongSizesAndTextsAreErrors) {
  const auto error_of = [](const std::string& bytes) -> std::string {
    try {
      Charsmap(bytes, "here");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of(""), HasSubstr("here: expected a precompiled_charsmap"));
  EXPECT_THAT(error_of("abc"), HasSubstr("0 of 3 bytes"));
  EXPECT_THAT(error_of(number(4)), HasSubstr("4 of 4 bytes"));
  EXPECT_THAT(error_of(number(0xFFFFFFFF) + "abcd"), HasSubstr("size"));
  EXPECT_THAT(error_of(number(6) + "abcdefgh"), HasSubstr("6 of 12"));
  EXPECT_THAT(error_of(blob(units(), "\xff")), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of(blob(units(), std::string(300, 'a'))),
              HasSubstr("at most 256 bytes, found 300"));
}

// Whatever the double array says, it is followed within bounds and no further
// than an entry may be long.
TEST(CharsmapTest, DamagedArraysNeverCrashOrHang) {
  for (uint64_t key = 0; key < 500; ++key) {
    std::vector<uint32_t> all = units();
    for (uint64_t i = 0; i < 200; ++i) {
      all[draw_index(key, 2 * i, all.size())] =
          static_cast<uint32_t>(draw_index(key, 2 * i + 1, 1ull << 32));
    }
    const Charsmap map(blob(all, kReplacements), "test");
    for (const char* text : {"a", "ab", "\xe2\x96\x81", "zz"}) {
      map.longest(text);
      map.shortest(text);
    }
  }
  // A unit that leads to itself, for ever.
  std::vector<uint32_t> loop(256, 0x80000000U);
  loop[0] = 0;
  loop['a'] = uint32_t{'a'} << 10 | 'a';
  const Charsmap map(blob(loop, ""), "test");
  EXPECT_FALSE(map.longest(std::string(1'000'000, 'a')));
}

}  // namespace
}  // namespace selfalign::text
