// SPDX-License-Identifier: Apache-2.0
// Products by tiles in all numbers of rows: tiles are emulated where the
// processor has none. Sums of whole numbers are exact in any order, so all that
// is made of them is compared to the bit.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/aligned.h"
#include "engine/kernels.h"
#include "engine/kernels_testing.h"
#include "engine/packed_int8.h"

namespace selfalign::engine {
namespace {

constexpr int64_t kMost = 48;  // rows

// Rows and weights of small whole numbers, or of any; between and behind them
// are NaNs, with which nothing may be computed.
struct Product {
  int64_t depth, columns, blocks, lda;
  Aligned<Bf16> a, packed;
  Aligned<float> bias, before;

  Product(int64_t in, int64_t out, bool is_whole)
      : depth(in),
        columns(out),
        blocks(round_up(out, kBlock) / kBlock),
        lda(depth + 6),
        a(size_t(kMost * lda), Bf16{0x7fc0}),
        packed(size_t((blocks + 1) * kBlock * depth), Bf16{0x7fc0}),
        bias(size_t(blocks * kBlock)),
        before(size_t(kMost * columns)) {
    std::mt19937 random(11);
    std::normal_distribution<float> any;
    const auto draw = [&] {
      return is_whole ? static_cast<float>(int(random() % 9) - 4) : any(random);
    };
    for (int64_t i = 0; i < kMost; ++i) {
      for (int64_t k = 0; k < depth; ++k) {
        a[size_t(i * lda + k)] = model::to_bfloat16(draw());
      }
    }
    for (int64_t j = 0; j < blocks * kBlock; ++j) {
      for (int64_t k = 0; k < depth; ++k) {
        packed[place(k, j)] = model::to_bfloat16(j < columns ? draw() : 0.0f);
      }
    }
    for (float& x : bias) x = draw();
    for (float& x : before) x = draw();
  }

  size_t place(int64_t k, int64_t column) const {
    return size_t(column / kBlock * kBlock * depth +
                  packed_index<Bf16>(k, column % kBlock));
  }

  double sum(int64_t row, int64_t column) const {
    double sum = 0;
    for (int64_t k = 0; k < depth; ++k) {
      sum += double{to_float(a[size_t(row * lda + k)])} *
             double{to_float(packed[place(k, column)])};
    }
    return sum;
  }

  GemmArgs<Bf16> args(int64_t first_row, int64_t rows) const {
    return {.a = a.data() + first_row * lda,
            .rows = rows,
            .lda = lda,
            .depth = depth,
            .packed = packed.data(),
            .num_blocks = blocks,
            .columns = columns,
            .bias = bias.data(),
            .ldc = columns};
  }

  // Of all columns, to what was there before.
  Aligned<float> run(const Kernels& set, int64_t first_row,
                     int64_t rows) const {
    Aligned<float> out(before.begin() + first_row * columns, before.end());
    GemmArgs<Bf16> product = args(first_row, rows);
    product.out = out.data();
    product.accumulate = true;
    set.bf16.gemm(product);
    return out;
  }
};

TEST(TileProducts, SumsOfWholeNumbersAreExact) {
  for (const auto& [depth, columns] :
       {std::pair{16, 33}, {32, 16}, {48, 90}, {80, 1}, {320, 64}}) {
    const Product test(depth, columns, true);
    for (const Kernels& set : tested_kernels()) {
      for (int64_t rows = 1; rows <= kMost; ++rows) {
        SCOPED_TRACE(str(set.name, " ", rows, " x ", depth, " x ", columns));
        const Aligned<float> out = test.run(set, 0, rows);
        for (int64_t i = 0; i < rows * columns; ++i) {
          const double want = test.sum(i / columns, i % columns) +
                              double{test.bias[size_t(i % columns)]} +
                              double{test.before[size_t(i)]};
          ASSERT_EQ(double{out[size_t(i)]}, want) << i;
        }
        // Rows that are none were not touched.
        for (size_t i = size_t(rows * columns); i < out.size(); ++i) {
          ASSERT_EQ(out[i], test.before[i]) << i;
        }
      }
    }
  }
}

TEST(TileProducts, RowsAreAsTheyAreAmongOthers) {
  const Product test(176, 40, false);
  for (const Kernels& set : tested_kernels()) {
    const Aligned<float> all = test.run(set, 0, kMost);
    for (int64_t rows = 1; rows < kMost; ++rows) {
      SCOPED_TRACE(str(set.name, " ", rows));
      const int64_t first = kMost - rows;
      const Aligned<float> some = test.run(set, first, rows);
      for (int64_t i = 0; i < rows * 40; ++i) {
        ASSERT_EQ(some[size_t(i)], all[size_t(first * 40 + i)]) << i;
      }
    }
  }
}

// In bfloat16, gated or not.
TEST(TileProducts, AreActivated) {
  constexpr int64_t kRows = 37, kColumns = 96;
  const Product test(48, kColumns, true);
  for (const Kernels& set : tested_kernels()) {
    for (const Activation kind :
         {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh,
          Activation::kReluSquared}) {
      SCOPED_TRACE(str(set.name, " ", int(kind)));
      Aligned<Bf16> gated(size_t(kRows * kColumns / 2)),
          plain(size_t(kRows * kColumns));
      GemmArgs<Bf16> args = test.args(0, kRows);
      args.activation = kind;
      args.activated = gated.data();
      args.ldc = kColumns / 2;
      set.bf16.gemm(args);
      args.is_paired = false;
      args.activated = plain.data();
      args.ldc = kColumns;
      set.bf16.gemm(args);
      const auto value = [&](int64_t i, int64_t j) {
        return test.sum(i, j) + double{test.bias[size_t(j)]};
      };
      for (int64_t i = 0; i < kRows; ++i) {
        for (int64_t j = 0; j < kColumns; ++j) {
          const double y = activated(kind, value(i, j));
          ASSERT_NEAR(to_float(plain[size_t(i * kColumns + j)]), y,
                      1e-4 + std::fabs(y) / 200);
          if (j / kBlock % 2 != 0) continue;
          const double both = y * value(i, j + kBlock);
          const int64_t place = j / kBlock / 2 * kBlock + j % kBlock;
          ASSERT_NEAR(to_float(gated[size_t(i * kColumns / 2 + place)]), both,
                      1e-3 + std::fabs(both) / 200);
        }
      }
    }
  }
}

// Whole numbers of 8 bits in all numbers of rows; their depth is any multiple
// of 4. Other tests have the scales.
TEST(TileProducts, SumsOfCodesAreExact) {
  constexpr int64_t kColumns = 40, kPadded = 48;
  std::mt19937 random(3);
  for (const int64_t depth : {4, 60, 64, 80, 128, 1044}) {
    Aligned<uint8_t> codes(size_t(kMost * depth));
    Aligned<int8_t> packed(size_t(kPadded * depth));
    Aligned<int32_t> offsets(size_t{kPadded});
    for (uint8_t& x : codes) x = static_cast<uint8_t>(random());
    for (int8_t& x : packed) x = static_cast<int8_t>(random());
    const auto place = [&](int64_t k, int64_t j) {
      return size_t(j / kBlock * kBlock * depth + code_index(k, j % kBlock));
    };
    Aligned<float> want(size_t(kMost * kColumns)), ones(size_t{kPadded}, 1.0f);
    for (int64_t j = 0; j < kColumns; ++j) {
      for (int64_t k = 0; k < depth; ++k) {
        offsets[size_t(j)] += 128 * packed[place(k, j)];
        for (int64_t i = 0; i < kMost; ++i) {
          want[size_t(i * kColumns + j)] += static_cast<float>(
              (codes[size_t(i * depth + k)] - 128) * packed[place(k, j)]);
        }
      }
    }
    for (const Kernels& set : tested_kernels()) {
      for (int64_t rows = 1; rows <= kMost; ++rows) {
        SCOPED_TRACE(str(set.name, " ", rows, " x ", depth));
        Aligned<float> out(want.size(), -1.0f);
        CodeGemmArgs<Bf16> args{{.rows = rows,
                                 .depth = depth,
                                 .num_blocks = kPadded / kBlock,
                                 .columns = kColumns,
                                 .out = out.data(),
                                 .ldc = kColumns}};
        args.codes = codes.data();
        args.row_scales = ones.data();
        args.packed_codes = packed.data();
        args.scales = ones.data();
        args.offsets = offsets.data();
        set.bf16.code_gemm(args);
        for (size_t i = 0; i < out.size(); ++i) {
          const bool is_row = i < size_t(rows * kColumns);
          ASSERT_EQ(out[i], is_row ? want[i] : -1.0f) << i;
        }
      }
    }
  }
}

TEST(TileProducts, NobodyIsGivenTheEmulation) {
  for (int s = 0; s < num_kernel_sets(); ++s) {
    EXPECT_NE(std::string(kernel_set(s).name), "amx_emulated");
  }
}

}  // namespace
}  // namespace selfalign::engine
