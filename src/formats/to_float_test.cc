// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <iostream>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "formats/gguf.h"
#include "formats/gguf_builder.h"

namespace selfalign::formats {
namespace {

std::vector<float> decode(ElementType type, std::vector<int64_t> shape,
                          const std::string& bytes) {
  const TensorView tensor{"t", type, std::move(shape), bytes};
  std::vector<float> out(static_cast<size_t>(tensor.num_elements()));
  to_float(tensor, out.data());
  return out;
}

// The value of a half by its definition (IEEE 754), apart from NaN.
float half_value(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const double size = exponent == 31 ? HUGE_VAL
                      : exponent == 0
                          ? std::ldexp(fraction, -24)
                          : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>(half & 0x8000 ? -size : size);
}

TEST(ToFloat, DecodesEveryHalf) {
  std::string bytes;
  for (int half = 0; half < 65536; ++half) {
    bytes += raw(static_cast<uint16_t>(half));
  }
  const auto out = decode(ElementType::kF16, {65536}, bytes);
  for (int half = 0; half < 65536; ++half) {
    const float found = out[static_cast<size_t>(half)];
    if ((half & 0x7fff) > 0x7c00) {
      ASSERT_TRUE(std::isnan(found)) << half;
      continue;
    }
    const float wanted = half_value(static_cast<uint16_t>(half));
    ASSERT_EQ(raw(found), raw(wanted)) << half;
  }
}

TEST(ToFloat, DecodesPlainTypes) {
  EXPECT_THAT(decode(ElementType::kF32, {1, 2}, raw(1.5f) + raw(-2.0f)),
              testing::ElementsAre(1.5f, -2.0f));
  EXPECT_THAT(decode(ElementType::kF64, {2}, raw(0.1) + raw(-3.0)),
              testing::ElementsAre(0.1f, -3.0f));
  // bfloat16 is the upper half of a float32.
  EXPECT_THAT(decode(ElementType::kBF16, {2},
                     raw(uint16_t{0x3fc0}) + raw(uint16_t{0xc000})),
              testing::ElementsAre(1.5f, -2.0f));
  EXPECT_TRUE(decode(ElementType::kF32, {0, 4}, "").empty());
}

constexpr uint16_t kHalf = 0x3800;  // 0.5
constexpr uint16_t kMinusTwo = 0xc000;

TEST(ToFloat, DecodesBlocks) {
  std::string q8 = raw(kHalf);
  for (int i = 0; i < 32; ++i) q8 += static_cast<char>(i * 8 - 128);
  std::string halves;
  for (int i = 0; i < 16; ++i) halves += static_cast<char>(i | (15 - i) << 4);
  // A second block in another scale shows that blocks follow each other.
  const auto out8 =
      decode(ElementType::kQ8_0, {2, 32}, q8 + raw(kMinusTwo) + q8.substr(2));
  const auto out4 = decode(ElementType::kQ4_0, {64},
                           raw(kHalf) + halves + raw(kMinusTwo) + halves);
  const auto out4_1 = decode(ElementType::kQ4_1, {64},
                             raw(kHalf) + raw(kMinusTwo) + halves +
                                 raw(kMinusTwo) + raw(kHalf) + halves);
  for (size_t i = 0; i < 32; ++i) {
    const auto n = static_cast<float>(i);
    EXPECT_EQ(out8[i], 0.5f * (n * 8 - 128));
    EXPECT_EQ(out8[32 + i], -2.0f * (n * 8 - 128));
    const float q = i < 16 ? n : 31 - n;
    EXPECT_EQ(out4[i], 0.5f * (q - 8));
    EXPECT_EQ(out4[32 + i], -2.0f * (q - 8));
    EXPECT_EQ(out4_1[i], 0.5f * q - 2.0f);
    EXPECT_EQ(out4_1[32 + i], -2.0f * q + 0.5f);
  }
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// Of tools/make_golden_blocks.py, to the bit.
TEST(ToFloat, DecodesEveryBlockTypeAsGgufDoes) {
  const char* path = "tests/data/ggml_blocks.json";
  const Json golden = parse_json(read_file(path), path);
  ASSERT_EQ(golden.size(), 12u);
  for (const auto& [name, one] : golden.items()) {
    SCOPED_TRACE(name);
    const std::string bytes = unhex(one["blocks"].get<std::string>());
    const std::string want = unhex(one["values"].get<std::string>());
    const auto count = static_cast<int64_t>(want.size() / sizeof(float));
    int code = -1;
    for (int i = 0; i <= static_cast<int>(ElementType::kIQ4_XS); ++i) {
      if (name == element_type_name(static_cast<ElementType>(i))) code = i;
    }
    ASSERT_GE(code, 0);
    const auto values = decode(static_cast<ElementType>(code), {count}, bytes);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(values.data()),
                               want.size()),
              want);
  }
}

TEST(ToFloat, ReadsFromAnyAlignment) {
  const std::string bytes = "x" + raw(uint16_t{0x3c00}) + raw(kMinusTwo);
  const TensorView tensor{
      "t", ElementType::kF16, {2}, std::string_view(bytes).substr(1)};
  float out[2];
  to_float(tensor, out);
  EXPECT_THAT(out, testing::ElementsAre(1.0f, -2.0f));
}

TEST(ToFloat, RefusesIntegers) {
  EXPECT_THAT(refusal_of([] { decode(ElementType::kI32, {1}, raw(1)); }),
              testing::HasSubstr("tensor t: expected numbers with a fraction"));
}

// As two of a file may after being renamed.
TEST(TensorNames, StandOnce) {
  const TensorView one{"one", ElementType::kF32, {1}, ""};
  const TensorView other{"other", ElementType::kF32, {1}, ""};
  EXPECT_EQ(refusal_of([&] {
              require_names_once({one, other}, "f");
            }),
            "no error");
  EXPECT_THAT(refusal_of([&] {
                require_names_once({one, other, one}, "f");
              }),
              testing::HasSubstr("f: tensor one stands twice"));
}

TEST(StorageBytes, ChecksEverything) {
  using enum ElementType;
  EXPECT_EQ(storage_bytes(kF32, {}), 4u);
  EXPECT_EQ(storage_bytes(kBF16, {3, 5}), 30u);
  EXPECT_EQ(storage_bytes(kQ4_1, {2, 64}), 80u);
  EXPECT_EQ(storage_bytes(kF32, {0, 7}), 0u);
  EXPECT_EQ(storage_bytes(kQ4_0, {64, 33}), std::nullopt);
  EXPECT_EQ(storage_bytes(kF32, {-1}), std::nullopt);
  EXPECT_EQ(storage_bytes(kF32, {INT64_MAX}), std::nullopt);
  EXPECT_EQ(storage_bytes(kU8, {INT64_MAX}), uint64_t{INT64_MAX});
  EXPECT_EQ(storage_bytes(kU8, {INT64_MAX, 3}), std::nullopt);
}

// The base model that `dev` fetched. The digest is that of the same rows as
// the gguf Python package (0.19.0) de-quantises them: 64 rows of the Q8_0
// embedding, then the whole Q4_1 query matrix of the first layer.
TEST(ToFloat, DecodesTheBaseModelAsGgufDoes) {
  const char* path = ".deps/model/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    std::cout << "SKIPPED ALOUD: " << path << " is not there; ./dev test "
              << "fetches it\n";
    GTEST_SKIP();
  }
  const auto source = open_gguf_tensors(GgufFile::open(path));
  const TensorView* embedding = source->find("model.embed_tokens.weight");
  const TensorView* query =
      source->find("model.layers.0.self_attn.q_proj.weight");
  ASSERT_TRUE(embedding != nullptr && query != nullptr);
  constexpr size_t kRows = 64;
  constexpr size_t kWidth = 576;
  std::vector<float> values((kRows + kWidth) * kWidth);
  TensorView rows = *embedding;
  rows.shape[0] = kRows;
  rows.bytes = rows.bytes.substr(0, kRows * kWidth / 32 * 34);
  to_float(rows, values.data());
  to_float(*query, values.data() + kRows * kWidth);
  EXPECT_EQ(digest_bytes({reinterpret_cast<const char*>(values.data()),
                          values.size() * sizeof(float)}),
            "1f995531c9f853e6f2df346968d1095c");
}

}  // namespace
}  // namespace selfalign::formats
