// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/testing.h"
#include "engine/aligned.h"
#include "engine/kernels_testing.h"
#include "engine/packed_linear.h"

namespace selfalign::engine {
namespace {

template <typename T>
T from_float(float x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else {
    return static_cast<Bf16>(std::bit_cast<uint32_t>(x) >> 16);
  }
}

template <typename T>
Aligned<T> random_values(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  Aligned<T> values(count);
  for (T& v : values) v = from_float<T>(draw(random));
  return values;
}

// Packs b [depth, columns] into whole blocks.
template <typename T>
Aligned<T> pack(const Aligned<T>& b, int64_t depth, int64_t columns) {
  Aligned<T> packed(round_up(columns, kBlock) * depth);
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t k = 0; k < depth; ++k) {
      packed[j / kBlock * kBlock * depth + packed_index<T>(k, j % kBlock)] =
          b[k * columns + j];
    }
  }
  return packed;
}

template <typename T>
void check_gemm(const Kernels& set, int64_t rows, int64_t depth,
                int64_t columns) {
  SCOPED_TRACE(testing::Message() << set.name << " " << rows << " x " << depth
                                  << " x " << columns);
  const auto a = random_values<T>(rows * depth, 1);
  const auto b = random_values<T>(depth * columns, 2);
  const auto packed = pack(b, depth, columns);
  const auto bias = random_values<float>(columns, 3);
  const auto before = random_values<float>(rows * columns, 4);
  Aligned<float> out(before);
  GemmArgs<T> args{.a = a.data(),
                   .rows = rows,
                   .lda = depth,
                   .depth = depth,
                   .packed = packed.data(),
                   .num_blocks = round_up(columns, kBlock) / kBlock,
                   .columns = columns,
                   .bias = bias.data(),
                   .out = out.data(),
                   .ldc = columns,
                   .accumulate = true};
  set.of<T>().gemm(args);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      double want = double{bias[j]} + double{before[i * columns + j]};
      for (int64_t k = 0; k < depth; ++k) {
        want += double{to_float(a[i * depth + k])} *
                double{to_float(b[k * columns + j])};
      }
      ASSERT_NEAR(out[i * columns + j], want, 2e-4) << i << ", " << j;
    }
  }
  // A row alone has the same bits.
  const int64_t row = rows - 1;
  Aligned<float> alone(before.begin() + row * columns, before.end());
  args.a += row * depth;
  args.rows = 1;
  args.out = alone.data();
  set.of<T>().gemm(args);
  for (int64_t j = 0; j < columns; ++j) {
    ASSERT_EQ(alone[j], out[row * columns + j]);
  }
}

TEST(Kernels, ProductsEqualTheReference) {
  for (const Kernels& set : tested_kernels()) {
    for (int64_t rows : {1, 3, 5, 6, 64}) {
      check_gemm<float>(set, rows, 48, 90);
      check_gemm<Bf16>(set, rows, 48, 90);
    }
    check_gemm<float>(set, 11, 576, 192);
    check_gemm<Bf16>(set, 11, 576, 192);
  }
}

TEST(Kernels, GateAndUpAreJoined) {
  constexpr int64_t kRows = 7, kDepth = 32, kColumns = 48;
  for (const Kernels& set : tested_kernels()) {
    const auto a = random_values<float>(kRows * kDepth, 1);
    const auto gate = random_values<float>(kDepth * kColumns, 2);
    const auto up = random_values<float>(kDepth * kColumns, 3);
    const auto g = pack(gate, kDepth, kColumns), u = pack(up, kDepth, kColumns);
    Aligned<float> both;
    for (int64_t block = 0; block < kColumns / kBlock; ++block) {
      const int64_t at = block * kBlock * kDepth;
      both.insert(both.end(), &g[at], &g[at] + kBlock * kDepth);
      both.insert(both.end(), &u[at], &u[at] + kBlock * kDepth);
    }
    Aligned<float> out(kRows * kColumns);
    set.f32.gemm({.a = a.data(),
                  .rows = kRows,
                  .lda = kDepth,
                  .depth = kDepth,
                  .packed = both.data(),
                  .num_blocks = 2 * kColumns / kBlock,
                  .columns = 2 * kColumns,
                  .ldc = kColumns,
                  .activated = out.data()});
    for (int64_t i = 0; i < kRows; ++i) {
      for (int64_t j = 0; j < kColumns; ++j) {
        double x = 0, y = 0;
        for (int64_t k = 0; k < kDepth; ++k) {
          x += double{a[i * kDepth + k]} * double{gate[k * kColumns + j]};
          y += double{a[i * kDepth + k]} * double{up[k * kColumns + j]};
        }
        const double want = x / (1 + std::exp(-x)) * y;
        ASSERT_NEAR(out[i * kColumns + j], want, 1e-3) << set.name;
      }
    }
  }
}

// Queries [rows, dim], keys and values [keys, dim], and what attend() made.
template <typename T>
struct AttendCase {
  int64_t rows, dim, keys;
  bool causal;
  Aligned<T> q = random_values<T>(size_t(rows * dim), 1);
  Aligned<T> k = random_values<T>(size_t(keys * dim), 2);
  Aligned<T> v = random_values<T>(size_t(keys * dim), 3);
  Aligned<float> out = Aligned<float>(size_t(rows * dim));
  Aligned<float> max = Aligned<float>(size_t(rows), -INFINITY);
  Aligned<float> sum = Aligned<float>(size_t(rows));

  // Keys first .. first + count - 1 as one page.
  void attend_page(const Kernels& set, int64_t first, int64_t count) {
    Aligned<T> key_page(kPageKeys * dim), value_page(kPageKeys * dim);
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t d = 0; d < dim; ++d) {
        key_page[j / kBlock * kBlock * dim + packed_index<T>(d, j % kBlock)] =
            k[(first + j) * dim + d];
        value_page[d / kBlock * kBlock * kPageKeys +
                   packed_index<T>(j, d % kBlock)] = v[(first + j) * dim + d];
      }
    }
    std::vector<int64_t> visible;
    for (int64_t i = 0; i < rows; ++i) visible.push_back(i + 1 - first);
    set.of<T>().attend({.q = q.data(),
                        .rows = rows,
                        .dim = dim,
                        .scale = 0.25f,
                        .keys = key_page.data(),
                        .values = value_page.data(),
                        .num_keys = count,
                        .visible = causal ? visible.data() : nullptr,
                        .out = out.data(),
                        .max = max.data(),
                        .sum = sum.data()});
  }

  // Softmax in double over all keys that row i sees.
  void check_row(int64_t i, double tolerance) const {
    std::vector<double> want(dim);
    double total = 0;
    for (int64_t j = 0; j < (causal ? std::min(keys, i + 1) : keys); ++j) {
      double score = 0;
      for (int64_t d = 0; d < dim; ++d) {
        score +=
            double{to_float(q[i * dim + d])} * double{to_float(k[j * dim + d])};
      }
      const double weight = std::exp(0.25 * score);
      total += weight;
      for (int64_t d = 0; d < dim; ++d) {
        want[d] += weight * double{to_float(v[j * dim + d])};
      }
    }
    for (int64_t d = 0; d < dim; ++d) {
      ASSERT_NEAR(out[i * dim + d] / sum[i], want[d] / total, tolerance)
          << i << ", " << d;
    }
    ASSERT_NEAR(double{max[i]} + std::log(double{sum[i]}), std::log(total),
                1e-4);
  }
};

template <typename T>
void check_attend(const Kernels& set, AttendCase<T> test, double tolerance) {
  SCOPED_TRACE(testing::Message() << set.name << " " << test.rows << " rows, "
                                  << test.keys << " keys");
  for (int64_t first = 0; first < test.keys; first += kPageKeys) {
    test.attend_page(set, first, std::min(kPageKeys, test.keys - first));
  }
  for (int64_t i = 0; i < test.rows; ++i) test.check_row(i, tolerance);
}

TEST(Kernels, AttentionEqualsTheReference) {
  for (const Kernels& set : tested_kernels()) {
    for (int64_t keys : {1, 17, 64, 65, 150}) {
      check_attend<float>(set, {3, 64, keys, false}, 1e-5);
      check_attend<float>(set, {48, 16, keys, true}, 1e-5);
      check_attend<Bf16>(set, {5, 80, keys, false}, 2e-2);
      check_attend<Bf16>(set, {48, 32, keys, true}, 2e-2);
    }
  }
}

TEST(Kernels, RowsEqualTheReference) {
  const auto x = random_values<float>(80, 1), w = random_values<float>(80, 2);
  for (const Kernels& set : tested_kernels()) {
    const ModelKernels<float>& f32 = set.f32;
    Aligned<float> out(80);
    for (int64_t n : {80, 41}) {
      f32.rms_norm(x.data(), w.data(), n, 1e-5f, out.data());
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) squares += double{x[i]} * double{x[i]};
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_NEAR(out[i], x[i] * w[i] / std::sqrt(squares / double(n) + 1e-5),
                    1e-5);
      }
    }
    const auto c = random_values<float>(80, 3),
               sn = random_values<float>(80, 4);
    f32.rope(x.data(), c.data(), sn.data(), 80, out.data());
    ASSERT_NEAR(out[3], x[3] * c[3] - x[43] * sn[3], 1e-5);
    ASSERT_NEAR(out[43], x[43] * c[43] + x[3] * sn[43], 1e-5);
    Bf16 rounded[2];
    const float halves[2] = {1.0f + 1.0f / 256, 1.0f + 3.0f / 256};
    set.bf16.convert(halves, 2, 1.0f, rounded);
    EXPECT_EQ(to_float(rounded[0]), 1.0f);  // ties to even
    EXPECT_EQ(to_float(rounded[1]), 1.0f + 4.0f / 256);
  }
}

TEST(Kernels, SamplerLoopsEqualTheReference) {
  auto x = random_values<float>(1003, 5);
  x[17] = -std::numeric_limits<float>::infinity();
  x[900] = 9.5f;
  for (const Kernels& set : tested_kernels()) {
    EXPECT_EQ(set.max(x.data(), 1003), 9.5f);
    double want = 0;
    for (float v : x) want += std::exp(double{v} - 9.5);
    EXPECT_NEAR(set.sum_exp(x.data(), 1003, 9.5f), want, 1e-6 * want);
    std::vector<uint32_t> weights(1003);
    const uint64_t total =
        set.exp_weights(x.data(), 1003, 9.5f, 2.0f, weights.data());
    uint64_t sum = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const double w = std::exp(2 * (double{x[i]} - 9.5)) * 1073741824.0;
      EXPECT_NEAR(double(weights[i]), w, 2 + 1e-5 * w);
      sum += weights[i];
    }
    EXPECT_EQ(total, sum);
    EXPECT_EQ(weights[900], 1u << 30);
    EXPECT_EQ(weights[17], 0u);
    for (const uint32_t cut : {0u, 20u, weights[5], 1u << 29, 1u << 30}) {
      std::vector<uint64_t> keys(1003), above;
      for (uint32_t i = 0; i < weights.size(); ++i) {
        if (weights[i] > cut) above.push_back(uint64_t{weights[i]} << 32 | ~i);
      }
      const int64_t count =
          set.keys_above(weights.data(), 1003, cut, keys.data());
      keys.resize(static_cast<size_t>(count));
      EXPECT_EQ(keys, above);
    }
  }
}

TEST(Kernels, AreFoundByNameOrNamed) {
  for (int i = 0; i < num_kernel_sets(); ++i) {
    const std::string name = kernel_set(i).name;
    EXPECT_EQ(kernel_set_named(name.c_str()).name, name);
  }
  EXPECT_THAT(
      refusal_of([] { kernel_set_named("avx512_x"); }, ErrorKind::kUsage),
      testing::AllOf(testing::StartsWith("SELFALIGN_KERNELS: expected"),
                     testing::HasSubstr("generic"),
                     testing::HasSubstr("found avx512_x")));
}

TEST(Kernels, ExpIsPrecise) {
  for (const Kernels& set : tested_kernels()) {
    for (double x = -86; x <= 0; x += 0.37) {
      const float f = static_cast<float>(x);
      const double got = set.sum_exp(&f, 1, 0.0f);
      ASSERT_NEAR(got / std::exp(double{f}), 1.0, 4e-7) << x;
    }
  }
}

}  // namespace
}  // namespace selfalign::engine
