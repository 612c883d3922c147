// SPDX-License-Identifier: Apache-2.0
#include "model/rounding.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace selfalign::model {
namespace {

TEST(Rounding, OfARowByHand) {
  std::vector<float> row(40, 0.0f);
  row[0] = 127.0f;  // scale 1
  row[1] = -3.4f;
  row[33] = -8.0f;  // the second group
  row[34] = 4.0f;
  std::vector<int8_t> codes(40);
  std::vector<uint16_t> scales(2);
  round_row(row.data(), 40, Rounding::kInt8, codes.data(), scales.data());
  EXPECT_EQ(scales[0], 0x3f80);  // 1 as bfloat16
  EXPECT_EQ(codes[0], 127);
  EXPECT_EQ(codes[1], -3);
  EXPECT_EQ(codes[33], -127);
  round_row(row.data(), 40, Rounding::kInt4, codes.data(), scales.data());
  EXPECT_EQ(scales[1], 0x3f80);  // -8 / -8
  EXPECT_EQ(codes[33], -8);
  EXPECT_EQ(codes[34], 4);
  row.assign(40, 0.0f);
  round_row(row.data(), 40, Rounding::kInt4, codes.data(), scales.data());
  EXPECT_EQ(codes, std::vector<int8_t>(40, 0));
}

// Each value within half a step of its group; a step is the largest value over
// 127 or 8, and a scale in bfloat16 is off by 2^-8 of itself at most.
TEST(Rounding, ErrorsAreWithinHalfAStep) {
  const at::Tensor matrix = at::randn({7, 100});  // a short last group
  for (const auto& [rounding, most] :
       {std::pair(Rounding::kInt8, 127.0f), std::pair(Rounding::kInt4, 8.0f)}) {
    const at::Tensor values =
        RoundedMatrix(matrix, rounding).values(at::kFloat);
    ASSERT_EQ(values.sizes(), matrix.sizes());
    EXPECT_FALSE(values.equal(matrix));
    for (int64_t row = 0; row < 7; ++row) {
      for (int64_t first = 0; first < 100; first += kRoundingGroup) {
        const int64_t count = std::min<int64_t>(kRoundingGroup, 100 - first);
        const auto part = [&](const at::Tensor& of) {
          return of[row].narrow(0, first, count);
        };
        const auto largest = part(matrix).abs().max().item<float>();
        // In 4 bits the value opposite to the largest is cut at 7 steps.
        const float bound =
            largest / most * (most == 8.0f ? 1.05f : 1.01f) + largest / 256.0f;
        EXPECT_LE((part(values) - part(matrix)).abs().max().item<float>(),
                  most == 8.0f ? bound : 0.5f * bound + largest / 256.0f);
      }
    }
    // Values are their own rounding.
    EXPECT_TRUE(
        at::equal(RoundedMatrix(values, rounding).values(at::kFloat), values));
  }
}

TEST(Rounding, InBfloat16IsRoundedOnce) {
  const at::Tensor matrix = at::randn({3, 64}).to(at::kBFloat16);
  const RoundedMatrix rounded(matrix, Rounding::kInt8);
  EXPECT_TRUE(at::equal(rounded.values(at::kBFloat16),
                        rounded.values(at::kFloat).to(at::kBFloat16)));
}

TEST(Rounding, WholeRowsHaveOneScale) {
  const float row[] = {-254.0f, 3.0f, 5.0f, -2.9f, 0.0f, 253.0f};
  int8_t codes[6];
  EXPECT_EQ(round_whole_row(row, 6, codes), 2.0f);
  const int8_t want[] = {-127, 2, 2, -1, 0, 126};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(codes[i], want[i]) << i;
  const float nothing[] = {0.0f, 1e-40f, -1e-31f};
  EXPECT_EQ(round_whole_row(nothing, 3, codes), 0.0f);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(codes[i], 0);
  const float none[] = {HUGE_VALF, NAN, -1.0f};
  round_whole_row(none, 3, codes);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(codes[i], 0);
}

TEST(Rounding, NamesAndBits) {
  EXPECT_EQ(rounding_named("int4"), Rounding::kInt4);
  EXPECT_EQ(rounding_named("full"), Rounding::kNone);
  EXPECT_THROW(rounding_named("int3"), Error);
  EXPECT_EQ(describe(Rounding::kNone), "");
  EXPECT_EQ(describe(Rounding::kInt8), ", weights int8");
  EXPECT_EQ(bits_per_weight(Rounding::kInt4, at::kFloat), 4.5);
  EXPECT_EQ(bits_per_weight(Rounding::kNone, at::kBFloat16), 16.0);
  EXPECT_EQ(rounding_named("w8a8"), Rounding::kW8a8);
  EXPECT_EQ(describe(Rounding::kW8a8), ", weights w8a8");
  EXPECT_EQ(bits_per_weight(Rounding::kW8a8, at::kBFloat16), 8.0);
  EXPECT_EQ(output_rounding(Rounding::kNone), Rounding::kNone);
  EXPECT_EQ(output_rounding(Rounding::kInt4), Rounding::kInt8);
  EXPECT_EQ(output_rounding(Rounding::kW8a8), Rounding::kW8a8);
  EXPECT_EQ(base_rounding(Rounding::kW8a8), Rounding::kNone);
  EXPECT_EQ(base_rounding(Rounding::kInt4), Rounding::kInt4);
}

}  // namespace
}  // namespace selfalign::model
