// SPDX-License-Identifier: Apache-2.0
// Products of whole numbers: sums are exact on every set of kernels.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "engine/aligned.h"
#include "engine/kernels.h"
#include "engine/kernels_testing.h"
#include "engine/packed_int8.h"
#include "engine/packed_linear.h"

namespace selfalign::engine {
namespace {

// Numbers of a row and of the weights' columns, and what is made of them.
struct Numbers {
  int64_t rows, depth, columns;
  std::vector<int> a, b;  // [rows, depth], [depth, columns]
  Aligned<uint8_t> codes;
  Aligned<int8_t> packed;
  Aligned<int32_t> offsets;
  Aligned<float> scales, ones;

  // Between -`size` - 1 and `size`; the extremes alone where `is_extreme`.
  Numbers(int64_t num_rows, int64_t num_in, int64_t num_columns,
          bool is_extreme = false)
      : rows(num_rows),
        depth(round_up(num_in, 4)),
        columns(num_columns),
        a(size_t(rows * depth)),
        b(size_t(depth * columns)),
        codes(size_t(rows * depth), 128),
        packed(size_t(round_up(columns, kBlock) * depth)),
        offsets(size_t(round_up(columns, kBlock))),
        scales(offsets.size(), 1.0f),
        ones(size_t(rows), 1.0f) {
    std::mt19937 random(7);
    const auto draw = [&] {
      const int x = static_cast<int>(random() % 256) - 128;
      return !is_extreme ? x : x < 0 ? -128 : 127;
    };
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t k = 0; k < num_in; ++k) {
        const int x = a[size_t(i * depth + k)] = draw();
        codes[size_t(i * depth + k)] = static_cast<uint8_t>(x + 128);
      }
    }
    for (int64_t j = 0; j < columns; ++j) {
      for (int64_t k = 0; k < num_in; ++k) {
        const int x = b[size_t(k * columns + j)] = draw();
        packed[size_t(j / kBlock * kBlock * depth +
                      code_index(k, j % kBlock))] = static_cast<int8_t>(x);
        offsets[size_t(j)] += 128 * x;
      }
    }
  }

  int sum(int64_t row, int64_t column) const {
    int sum = 0;
    for (int64_t k = 0; k < depth; ++k) {
      sum += a[size_t(row * depth + k)] * b[size_t(k * columns + column)];
    }
    return sum;
  }

  template <typename T>
  CodeGemmArgs<T> args(int64_t first_row, int64_t num_rows) const {
    CodeGemmArgs<T> args{{.rows = num_rows,
                          .depth = depth,
                          .num_blocks = round_up(columns, kBlock) / kBlock,
                          .columns = columns,
                          .ldc = columns}};
    args.codes = codes.data() + first_row * depth;
    args.row_scales = ones.data() + first_row;
    args.packed_codes = packed.data();
    args.scales = scales.data();
    args.offsets = offsets.data();
    return args;
  }
};

void check_sums(const Kernels& set, const Numbers& test) {
  SCOPED_TRACE(
      str(set.name, " ", test.rows, " x ", test.depth, " x ", test.columns));
  Aligned<float> out(size_t(test.rows * test.columns), NAN);
  auto args = test.args<float>(0, test.rows);
  args.out = out.data();
  set.f32.code_gemm(args);
  for (int64_t i = 0; i < test.rows; ++i) {
    for (int64_t j = 0; j < test.columns; ++j) {
      ASSERT_EQ(out[size_t(i * test.columns + j)],
                static_cast<float>(test.sum(i, j)))
          << i << ", " << j;
    }
  }
}

TEST(WholeProducts, SumsAreExact) {
  for (const Kernels& set : tested_kernels()) {
    for (int64_t rows = 1; rows <= 13; ++rows) {
      check_sums(set, {rows, 48, 90});
    }
    for (int64_t depth : {1, 3, 4, 6, 60, 64, 100}) {
      check_sums(set, {5, depth, 33});
    }
    check_sums(set, {64, 20, 16});
    check_sums(set, {3, 576, 49});
    check_sums(set, {7, 64, 48, true});
    // Sums of pairs would not fit into 16 bits, nor all into a float's.
    check_sums(set, {2, 1536, 31, true});
  }
}

// Scales, biases and what was there before; and a row alone is as it is among
// others.
TEST(WholeProducts, GoOnAsProductsDo) {
  Numbers test(29, 40, 90);
  std::mt19937 random(3);
  std::normal_distribution<float> draw;
  Aligned<float> bias(test.scales.size()), before(size_t{29} * 90);
  for (float& x : test.scales) x = draw(random) / 100;
  for (float& x : test.ones) x = draw(random) / 100;
  for (float& x : bias) x = draw(random);
  for (float& x : before) x = draw(random);
  for (const Kernels& set : tested_kernels()) {
    SCOPED_TRACE(set.name);
    Aligned<float> out(before), alone(before);
    auto args = test.args<Bf16>(0, 29);
    args.bias = bias.data();
    args.accumulate = true;
    args.out = out.data();
    set.bf16.code_gemm(args);
    for (int64_t i = 0; i < 29; ++i) {
      args = test.args<Bf16>(i, 1);
      args.bias = bias.data();
      args.accumulate = true;
      args.out = &alone[size_t(i * 90)];
      // Not all blocks at once, either.
      args.num_blocks = 1;
      for (; args.first_block < 6; ++args.first_block) {
        set.bf16.code_gemm(args);
      }
      for (int64_t j = 0; j < 90; ++j) {
        const auto place = size_t(i * 90 + j);
        ASSERT_NEAR(out[place],
                    double{before[place]} + double{bias[size_t(j)]} +
                        double(test.sum(i, j)) * double{test.ones[size_t(i)]} *
                            double{test.scales[size_t(j)]},
                    1e-4);
        ASSERT_EQ(out[place], alone[place]) << i << ", " << j;
      }
    }
  }
}

TEST(WholeProducts, AreActivatedAndGated) {
  Numbers test(13, 32, 96);
  for (float& x : test.scales) x = 0.01f;
  for (float& x : test.ones) x = 0.004f;
  const Aligned<float> bias(96, 0.25f);
  const auto value = [&](int64_t i, int64_t j) {
    return test.sum(i, j) * 0.01 * 0.004 + 0.25;
  };
  for (const Kernels& set : tested_kernels()) {
    for (const Activation kind :
         {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh,
          Activation::kReluSquared}) {
      Aligned<float> gated(size_t{13} * 48), plain(size_t{13} * 96);
      auto args = test.args<float>(0, 13);
      args.bias = bias.data();
      args.activation = kind;
      args.activated = gated.data();
      args.ldc = 48;
      set.f32.code_gemm(args);
      args.is_paired = false;
      args.activated = plain.data();
      args.ldc = 96;
      set.f32.code_gemm(args);
      for (int64_t i = 0; i < 13; ++i) {
        for (int64_t j = 0; j < 96; ++j) {
          const double y = activated(kind, value(i, j));
          ASSERT_NEAR(plain[size_t(i * 96 + j)], y, 1e-4);
          if (j / kBlock % 2 != 0) continue;
          const auto place =
              size_t(i * 48 + j / kBlock / 2 * kBlock + j % kBlock);
          ASSERT_NEAR(gated[place], y * value(i, j + kBlock), 1e-3)
              << set.name << ' ' << i << ", " << j;
        }
      }
    }
  }
}

// The codes and the scale of a row, on every set, before it is rotated.
template <typename T>
void check_codes(const Aligned<float>& plain, float scale,
                 const std::vector<int>& codes) {
  Aligned<float> values(plain);
  const auto n = static_cast<int64_t>(values.size());
  rotate(values.data(), n);
  Aligned<T> row;
  if constexpr (std::is_same_v<T, float>) {
    row = values;
  } else {
    row.resize(values.size());
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = model::to_bfloat16(values[i]);
      ASSERT_EQ(to_float(row[i]), values[i]);
    }
  }
  for (const Kernels& set : tested_kernels()) {
    SCOPED_TRACE(set.name);
    Aligned<uint8_t> got(row.size());
    const float of =
        set.of<T>().quantize(row.data(), n, &values[0], got.data());
    EXPECT_EQ(std::bit_cast<uint32_t>(of), std::bit_cast<uint32_t>(scale));
    for (size_t i = 0; i < codes.size(); ++i) {
      ASSERT_EQ(int{got[i]} - 128, codes[i]) << i;
    }
  }
}

TEST(WholeProducts, RowsAreRoundedToTheNearest) {
  // A scale of 2: 3 and 5 are ties, which go to the even 2.
  Aligned<float> row(96);
  row[0] = -254.0f;
  row[1] = 3.0f;
  row[2] = 5.0f;
  row[3] = -2.75f;
  row[40] = 0.75f;
  row[70] = 250.0f;
  row[95] = -3.0f;
  std::vector<int> codes(96);
  codes[0] = -127;
  codes[1] = codes[2] = 2;
  codes[3] = -1;
  codes[70] = 125;
  codes[95] = -2;
  check_codes<float>(row, 2.0f, codes);
  row[0] = -254.0f * 64;
  for (size_t i = 1; i < 96; ++i) row[i] = 0.0f;
  row[95] = 254.0f * 32;
  std::fill(codes.begin(), codes.end(), 0);
  codes[0] = -127;
  codes[95] = 64;  // 63.5 to the even
  check_codes<float>(row, 128.0f, codes);
  check_codes<Bf16>(row, 128.0f, codes);
}

TEST(WholeProducts, RowsOfNothingAndOfNoNumbers) {
  check_codes<float>(Aligned<float>(16), 0.0f, std::vector<int>(16));
  check_codes<float>(Aligned<float>(80, 1e-33f), 0.0f, std::vector<int>(80));
  check_codes<float>(Aligned<float>(64, 1e-42f), 0.0f, std::vector<int>(64));
  const float none = std::numeric_limits<float>::quiet_NaN();
  for (const float x : {none, -none, HUGE_VALF, -HUGE_VALF}) {
    Aligned<float> row(96, 1.0f);
    row[19] = x;
    check_codes<float>(row, none, {});
  }
}

// Every set rotates to the same bits; twice gives the row again.
TEST(WholeProducts, RowsAreRotated) {
  std::mt19937 random(9);
  std::normal_distribution<float> draw;
  for (const int64_t n : {16, 48, 64, 176, 576}) {
    Aligned<float> row(static_cast<size_t>(n));
    for (float& x : row) x = draw(random);
    Aligned<float> want(row), back;
    rotate(want.data(), n);
    back = want;
    rotate(back.data(), n);
    Aligned<uint8_t> codes(row.size());
    for (const Kernels& set : tested_kernels()) {
      Aligned<float> got(row.size());
      set.f32.quantize(row.data(), n, got.data(), codes.data());
      EXPECT_EQ(got, want) << set.name << ' ' << n;
    }
    for (size_t i = 0; i < row.size(); ++i) EXPECT_NEAR(back[i], row[i], 1e-5);
  }
}

// A weight's product in whole numbers is near that in floats, the same on all
// sets and with rows in any number; and its rows are read back.
TEST(WholeProducts, AreNearTheProductsOfFloats) {
  constexpr int64_t kRows = 9, kIn = 200, kOut = 70;
  const at::Tensor weight = at::randn({kOut, kIn});
  const at::Tensor bias = at::randn({kOut});
  const PackedLinear<float> plain({weight}, {bias});
  const PackedLinear<float> whole({weight}, {bias}, Rounding::kW8a8);
  EXPECT_LT(whole.bytes() * 3, plain.bytes());
  std::vector<float> row(kIn);
  whole.row(69, row.data());
  for (int64_t k = 0; k < kIn; ++k) {
    ASSERT_NEAR(row[size_t(k)], weight[69][k].item<float>(), 0.05);
  }
  ProductRows<float> in;
  in.resize(kRows, plain.depth(), true);
  std::mt19937 random(5);
  std::normal_distribution<float> draw;
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t k = 0; k < kIn; ++k) {
      in.row(i)[k] = draw(random) * static_cast<float>(i + 1);
    }
  }
  std::vector<float> first;
  for (const Kernels& set : tested_kernels()) {
    const ModelKernels<float>& f32 = set.f32;
    for (int64_t i = 0; i < kRows; ++i) in.code(f32, i);
    std::vector<float> want(kRows * kOut), got(kRows * kOut);
    plain.run(f32, in, kRows, {.out = want.data()});
    whole.run(f32, in, kRows, {.out = got.data()});
    for (int64_t i = 0; i < kRows * kOut; ++i) {
      // sqrt(200) * (0.024 / sqrt(12) + 0.024 / sqrt(12)) for a row of size 1
      const int64_t size = i / kOut + 1;
      ASSERT_NEAR(got[size_t(i)], want[size_t(i)],
                  0.8 * static_cast<double>(size));
    }
    if (first.empty()) first = got;
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], first[i], 1e-4);  // one rounding or two
    }
  }
}

}  // namespace
}  // namespace selfalign::engine
