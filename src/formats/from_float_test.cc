// SPDX-License-Identifier: Apache-2.0
#include "formats/from_float.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/file.h"
#include "base/json.h"
#include "formats/ggml_blocks.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

using testing::HasSubstr;

std::string unhex(const std::string& text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(kDigits.find(text[i]) * 16 +
                               kDigits.find(text[i + 1]));
  }
  return bytes;
}

std::string encoded(ElementType type, const std::vector<float>& values) {
  return from_float(type, values.data(), static_cast<int64_t>(values.size()),
                    "tensor x");
}

uint16_t half(float value) {
  const std::string bytes = encoded(ElementType::kF16, {value});
  uint16_t bits;
  std::memcpy(&bits, bytes.data(), sizeof(bits));
  return bits;
}

// Every half, and what lies half-way to the next and just beside that.
TEST(FromFloat, HalvesAreTheNearestTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const auto code = static_cast<uint16_t>(bits);
    const float value = half_to_float(code);
    ASSERT_EQ(half(value), code);
    ASSERT_EQ(half(-value), code | 0x8000);
    if (bits + 1 == 0x7c00) break;
    const float middle =
        (value + half_to_float(static_cast<uint16_t>(code + 1))) / 2.0f;
    ASSERT_EQ(half(middle), code + (code & 1));
    ASSERT_EQ(half(std::nextafter(middle, 0.0f)), code);
    ASSERT_EQ(half(std::nextafter(middle, 1e9f)), code + 1);
  }
  EXPECT_EQ(half(65519.9f), 0x7bff);
  EXPECT_EQ(half(INFINITY), 0x7c00);
  EXPECT_EQ(half(std::numeric_limits<float>::quiet_NaN()) & 0x7c00, 0x7c00);
}

TEST(FromFloat, Bfloat16RoundsToEven) {
  const auto bf16 = [](float value) {
    const std::string bytes = encoded(ElementType::kBF16, {value});
    uint16_t bits;
    std::memcpy(&bits, bytes.data(), sizeof(bits));
    return bits;
  };
  EXPECT_EQ(bf16(1.0f), 0x3f80);
  EXPECT_EQ(bf16(1.00390625f), 0x3f80);  // half-way
  EXPECT_EQ(bf16(1.01171875f), 0x3f82);  // half-way, odd before
  EXPECT_EQ(bf16(1.0039064f), 0x3f81);
  EXPECT_EQ(bf16(-INFINITY), 0xff80);
  EXPECT_EQ(bf16(std::numeric_limits<float>::quiet_NaN()) & 0x7fc0, 0x7fc0);
}

// Against gguf's reference (tools/make_golden_quantised.py).
TEST(FromFloat, BlocksAreTheReferences) {
  const char* path = "tests/data/ggml_quantised.json";
  const Json golden = parse_json(read_file(path), path);
  const std::string bytes = unhex(golden["values"].get<std::string>());
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  for (const ElementType type : {ElementType::kQ8_0, ElementType::kQ4_0}) {
    SCOPED_TRACE(element_type_name(type));
    EXPECT_EQ(encoded(type, values),
              unhex(golden[element_type_name(type)].get<std::string>()));
  }
}

TEST(FromFloat, WhatATypeCannotHoldIsNamed) {
  EXPECT_THAT(message_of([] { half(70000.0f); }),
              HasSubstr("tensor x: expected numbers that F16 can hold, found "
                        "70000; use --type bf16 or f32"));
  for (const float wrong : {INFINITY, -1e30f, std::nanf("")}) {
    std::vector<float> values(32, 0.5f);
    values[7] = wrong;
    for (const ElementType type : {ElementType::kQ8_0, ElementType::kQ4_0}) {
      EXPECT_THAT(message_of([&] { encoded(type, values); }),
                  HasSubstr("can hold, found"));
    }
  }
}

}  // namespace
}  // namespace selfalign::formats
