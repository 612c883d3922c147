// SPDX-License-Identifier: Apache-2.0
#include "base/number.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace selfalign {
namespace {

TEST(ParseNumber, TakesTheWholeTextOrNothing) {
  EXPECT_EQ(parse_number<int>("-12"), -12);
  EXPECT_EQ(parse_number<uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(parse_number<double>("2.5e-1"), 0.25);
  for (const char* bad : {"", " 1", "1 ", "+1", "1x", "0x1", "--1", "1\n"}) {
    EXPECT_EQ(parse_number<int>(bad), std::nullopt) << bad;
    EXPECT_EQ(parse_number<double>(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(parse_number<int>(std::string_view("1\0", 2)), std::nullopt);
}

TEST(ParseNumber, KeepsToTheRange) {
  EXPECT_EQ(parse_number<int>("2147483648"), std::nullopt);
  EXPECT_EQ(parse_number<unsigned>("-1"), std::nullopt);
  EXPECT_EQ(parse_number<int8_t>("200"), std::nullopt);
  EXPECT_EQ(parse_number<int>("0", 1), std::nullopt);
  EXPECT_EQ(parse_number<int>("7", 0, 7), 7);
  EXPECT_EQ(parse_number<int>("8", 0, 7), std::nullopt);
  for (const char* bad : {"inf", "-inf", "nan", "infinity", "1e999"}) {
    EXPECT_EQ(parse_number<double>(bad), std::nullopt) << bad;
  }
}

TEST(ParseNumber, AHexByteHasTwoDigits) {
  EXPECT_EQ(parse_hex_byte("0A"), 10);
  EXPECT_EQ(parse_hex_byte("ff"), 255);
  for (const char* bad : {"", "1", "-1", "+1", " 1", "0x", "1g", "100"}) {
    EXPECT_EQ(parse_hex_byte(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace selfalign
