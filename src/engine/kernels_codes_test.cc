// SPDX-License-Identifier: Apache-2.0
// Attention over pages of whole numbers, against sums in double over what the
// numbers stand for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "engine/aligned.h"
#include "engine/code_page.h"
#include "engine/kernels_testing.h"
#include "engine/packed_int8.h"

namespace selfalign::engine {
namespace {

// Element (k, column) of a matrix in blocks of codes.
int8_t code_at(const int8_t* blocks, int64_t depth, int64_t k, int64_t column) {
  return blocks[column / kBlock * kBlock * depth +
                code_index(k, column % kBlock)];
}

struct Case {
  int64_t rows, dim, pages;
  float softcap = 0.0f;
  bool has_window = false;
};

// Rows that attend over pages, and what they saw.
class CodeAttention {
 public:
  CodeAttention(const Kernels& set, const Case& of)
      : set_(set),
        case_(of),
        rotated_(size_t(of.rows * of.dim)),
        q_codes_(rotated_.size()),
        q_scales_(size_t(of.rows)),
        hidden_(size_t(of.rows)) {
    std::mt19937 random(3);
    std::normal_distribution<float> draw;
    const int64_t size = kPageKeys * of.dim;
    for (int64_t page = 0; page < of.pages; ++page) {
      Aligned<float> keys(static_cast<size_t>(size)), values(keys.size());
      for (float& x : keys) x = draw(random);
      for (float& x : values) x = draw(random);
      pages_.emplace_back(static_cast<size_t>(code_page_bytes(of.dim)));
      set.f32.encode_page(keys.data(), values.data(), of.dim,
                          code_page(pages_.back().data(), of.dim));
    }
    std::vector<float> row(static_cast<size_t>(of.dim));
    Aligned<float> scratch(row.size());
    for (int64_t i = 0; i < of.rows; ++i) {
      for (float& x : row) x = draw(random);
      q_scales_[size_t(i)] = set.f32.quantize(
          row.data(), of.dim, scratch.data(), &q_codes_[size_t(i * of.dim)]);
      // The first rows see no key of the first page, or of any.
      hidden_[size_t(i)] = i == 0 ? of.pages * kPageKeys : 90 - 3 * i;
    }
  }

  // Rows first .. first + count - 1; [count, dim + 2] with maximum and sum.
  std::vector<float> attend(int64_t first, int64_t count) const {
    Aligned<float> out(size_t(count * case_.dim));
    float max[kMaxRows], sum[kMaxRows] = {};
    std::fill_n(max, kMaxRows, -std::numeric_limits<float>::infinity());
    std::vector<int64_t> hidden(hidden_.begin() + first, hidden_.end());
    for (int64_t page = 0; page < case_.pages; ++page) {
      CodeAttendArgs args;
      args.rows = count;
      args.dim = case_.dim;
      args.scale = 0.25f;
      args.softcap = case_.softcap;
      args.num_keys = kPageKeys;
      args.hidden = case_.has_window ? hidden.data() : nullptr;
      args.out = out.data();
      args.max = max;
      args.sum = sum;
      args.q_codes = &q_codes_[size_t(first * case_.dim)];
      args.q_scales = &q_scales_[size_t(first)];
      args.page = code_page(pages_[size_t(page)].data(), case_.dim);
      set_.attend_codes(args);
      for (int64_t& x : hidden) x -= kPageKeys;
    }
    std::vector<float> all(out.begin(), out.end());
    all.insert(all.end(), max, max + count);
    all.insert(all.end(), sum, sum + count);
    return all;
  }

  void check() const {
    const std::vector<float> got = attend(0, case_.rows);
    for (int64_t i = 0; i < case_.rows; ++i) check_row(i, got);
  }

 private:
  // A key's weight is off by half a 255th of the largest of its page, and so
  // much are sums of them.
  void check_row(int64_t row, const std::vector<float>& got) const {
    const auto [rows, dim, pages, softcap, has_window] = case_;
    const int64_t num_keys = pages * kPageKeys;
    const int64_t first =
        has_window ? std::max<int64_t>(0, hidden_[size_t(row)]) : 0;
    std::vector<double> weights(static_cast<size_t>(num_keys));
    std::vector<double> errors(weights.size());
    double total = 0.0, total_error = 0.0;
    for (int64_t j = first; j < num_keys; ++j) {
      total += weights[size_t(j)] =
          std::exp(score(page_of(j), row, j % kPageKeys));
    }
    for (int64_t j = first; j < num_keys; ++j) {
      const auto begin = weights.begin() + j / kPageKeys * kPageKeys;
      const double largest = *std::max_element(begin, begin + kPageKeys);
      total_error += errors[size_t(j)] =
          largest * 0.5 / 255.0 + weights[size_t(j)] * 2e-4;
    }
    const float sum = got[size_t(rows * dim + rows + row)];
    if (first >= num_keys) {
      EXPECT_EQ(sum, 0.0f) << row;
      return;
    }
    EXPECT_NEAR(std::exp(double{got[size_t(rows * dim + row)]}) * double{sum},
                total, total_error)
        << row;
    for (int64_t d = 0; d < dim; ++d) {
      double want = 0.0, error = 1e-6;
      for (int64_t j = first; j < num_keys; ++j) {
        const double x = value(page_of(j), j % kPageKeys, d);
        want += weights[size_t(j)] * x;
        error += errors[size_t(j)] * std::fabs(x);
      }
      ASSERT_NEAR(std::exp(double{got[size_t(rows * dim + row)]}) *
                      double{got[size_t(row * dim + d)]},
                  want, error)
          << row << ", " << d;
    }
  }

  CodePage page_of(int64_t key) const {
    return code_page(pages_[size_t(key / kPageKeys)].data(), case_.dim);
  }
  double score(const CodePage& page, int64_t row, int64_t key) const {
    int sum = 0;
    for (int64_t k = 0; k < case_.dim; ++k) {
      sum += (q_codes_[size_t(row * case_.dim + k)] - 128) *
             code_at(page.keys, case_.dim, k, key);
    }
    const double whole = double{q_scales_[size_t(row)]} *
                         double{page.key_scales[key]} * double(sum) * 0.25;
    const double cap = case_.softcap;
    return cap == 0.0 ? whole : cap * std::tanh(whole / cap);
  }
  double value(const CodePage& page, int64_t key, int64_t d) const {
    return double{page.value_scales[d]} *
           code_at(page.values, kPageKeys, key, d);
  }

  const Kernels& set_;
  const Case case_;
  mutable std::vector<Aligned<std::byte>> pages_;
  Aligned<float> rotated_;
  Aligned<uint8_t> q_codes_;
  std::vector<float> q_scales_;
  std::vector<int64_t> hidden_;
};

TEST(CodePages, AttentionIsWithinHalfA255th) {
  for (const Kernels& set : tested_kernels()) {
    for (const Case& one :
         {Case{1, 64, 1}, Case{48, 64, 3}, Case{5, 16, 2}, Case{13, 80, 2},
          Case{7, 128, 2, 3.0f}, Case{40, 64, 3, 0.0f, true},
          Case{9, 32, 2, 2.0f, true}}) {
      SCOPED_TRACE(str(set.name, ", ", one.rows, " rows, ", one.dim));
      CodeAttention(set, one).check();
    }
  }
}

TEST(CodePages, ARowsBitsAreItsOwn) {
  for (const Kernels& set : tested_kernels()) {
    const CodeAttention all(set, {48, 64, 3});
    const std::vector<float> together = all.attend(0, 48);
    for (const int64_t row : {0, 5, 23, 47}) {
      const std::vector<float> alone = all.attend(row, 1);
      for (int64_t d = 0; d < 64; ++d) {
        ASSERT_EQ(alone[size_t(d)], together[size_t(row * 64 + d)])
            << set.name << ' ' << row;
      }
      ASSERT_EQ(alone[65], together[size_t(48 * 64 + 48 + row)]);
    }
  }
}

// Keys and values come back with an error of half a scale.
TEST(CodePages, HoldWhatWasThere) {
  constexpr int64_t kDim = 32;
  Aligned<float> keys(kPageKeys * kDim), values(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    keys[i] = std::sin(float(i));
    values[i] = std::cos(float(3 * i)) * float(1 + i % 16);
  }
  Aligned<std::byte> bytes(size_t(code_page_bytes(kDim)));
  kernels().f32.encode_page(keys.data(), values.data(), kDim,
                            code_page(bytes.data(), kDim));
  const CodePage page = code_page(bytes.data(), kDim);
  for (int64_t j = 0; j < kPageKeys; ++j) {
    float key[kDim];
    int sum = 0;
    for (int64_t k = 0; k < kDim; ++k) {
      const int code = code_at(page.keys, kDim, k, j);
      sum += code;
      key[k] = float(code) * page.key_scales[j];
    }
    EXPECT_EQ(page.key_offsets[j], 128 * sum);
    rotate(key, kDim);
    for (int64_t k = 0; k < kDim; ++k) {
      // Of 16 that are rotated together, each with half a scale.
      ASSERT_NEAR(key[k],
                  keys[size_t(j / kBlock * kBlock * kDim +
                              packed_index<float>(k, j % kBlock))],
                  2.0f * page.key_scales[j]);
      const size_t place = size_t(k / kBlock * kBlock * kPageKeys +
                                  packed_index<float>(j, k % kBlock));
      ASSERT_NEAR(
          float(code_at(page.values, kPageKeys, j, k)) * page.value_scales[k],
          values[place], 0.501f * page.value_scales[k]);
    }
  }
}

}  // namespace
}  // namespace selfalign::engine
