// SPDX-License-Identifier: Apache-2.0
// Rows of a training against sums in double precision, and their gradients
// against differences of those.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "engine/kernels_testing.h"
#include "engine/packed_int8.h"

namespace selfalign::engine {
namespace {

using Row = std::vector<double>;

Row random_row(int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  Row row;
  for (int64_t i = 0; i < n; ++i) {
    // What both types hold.
    row.push_back(
        double(model::from_bfloat16(model::to_bfloat16(draw(random)))));
  }
  return row;
}

template <typename T>
std::vector<T> of(const Row& row) {
  std::vector<T> out;
  for (double x : row) {
    if constexpr (sizeof(T) == sizeof(float)) {
      out.push_back(float(x));
    } else {
      out.push_back(model::to_bfloat16(float(x)));
    }
  }
  return out;
}

template <typename T>
void expect_near(const std::vector<T>& found, const Row& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  const double error = sizeof(T) == sizeof(float) ? 2e-6 : 6e-3;
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_NEAR(double(to_float(found[i])), wanted[i],
                error * (1.0 + std::abs(wanted[i])))
        << "place " << i << " of " << wanted.size();
  }
}

// d sum(gradient * f(x)) / dx by central differences.
template <typename Function>
Row differences(const Row& x, const Row& gradient, const Function& f) {
  Row out;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto at = [&](double step) {
      Row moved = x;
      moved[i] += step;
      const Row y = f(moved);
      double sum = 0.0;
      for (size_t j = 0; j < y.size(); ++j) sum += y[j] * gradient[j];
      return sum;
    };
    out.push_back((at(1e-4) - at(-1e-4)) / 2e-4);
  }
  return out;
}

// Of each length, whole registers or not, and of each set.
template <typename Check>
void for_all(const Check& check) {
  for (const Kernels& set : tested_kernels()) {
    for (int64_t n : {2, 6, 16, 34, 64, 90}) {
      SCOPED_TRACE(testing::Message() << set.name << ", " << n);
      check(set.training_f32, float(), n);
      check(set.training_bf16, Bf16(), n);
    }
  }
}

TEST(TrainingKernels, NormAndItsGradientEqualTheReference) {
  for_all([](const auto& set, auto type, int64_t n) {
    using T = decltype(type);
    const Row x = random_row(n, 1), weight = random_row(n, 2),
              gradient = random_row(n, 3);
    const auto factor_of = [n](const Row& row) {
      double squares = 0.0;
      for (double v : row) squares += v * v;
      return 1.0 / std::sqrt(squares / double(n) + 1e-5);
    };
    const auto norm = [&](const Row& row) {
      Row y = row;
      for (size_t i = 0; i < y.size(); ++i) y[i] *= factor_of(row) * weight[i];
      return y;
    };
    std::vector<T> out(static_cast<size_t>(n));
    const float factor = set.norm(of<T>(x).data(), of<float>(weight).data(), n,
                                  1e-5f, out.data());
    EXPECT_NEAR(double(factor), factor_of(x), 1e-5);
    expect_near(out, norm(x));
    set.norm_backward(of<T>(x).data(), of<float>(weight).data(),
                      of<T>(gradient).data(), n, factor, out.data());
    expect_near(out, differences(x, gradient, norm));
  });
}

TEST(TrainingKernels, GateAndItsGradientsEqualTheReference) {
  for_all([](const auto& set, auto type, int64_t n) {
    using T = decltype(type);
    Row gate = random_row(n, 4);
    gate[0] = -100.0, gate[1] = 100.0;
    const Row up = random_row(n, 5), gradient = random_row(n, 6);
    const auto gated = [](const Row& by, const Row& row) {
      Row y = row;
      for (size_t i = 0; i < y.size(); ++i) {
        y[i] *= activated(Activation::kSilu, by[i]);
      }
      return y;
    };
    std::vector<T> out(static_cast<size_t>(n)), other(out.size());
    set.gate(of<T>(gate).data(), of<T>(up).data(), n, out.data());
    expect_near(out, gated(gate, up));
    set.gate_backward(of<T>(gate).data(), of<T>(up).data(),
                      of<T>(gradient).data(), n, out.data(), other.data());
    expect_near(out, differences(gate, gradient, [&](const Row& moved) {
                  return gated(moved, up);
                }));
    expect_near(other, differences(up, gradient, [&](const Row& moved) {
                  return gated(gate, moved);
                }));
  });
}

TEST(TrainingKernels, RotationAndItsGradientEqualTheReference) {
  for_all([](const auto& set, auto type, int64_t n) {
    using T = decltype(type);
    const Row x = random_row(n, 7), gradient = random_row(n, 8);
    const Row cos = random_row(n, 9), sin = random_row(n, 10);
    const auto rotated = [&](const Row& row) {
      const size_t half = row.size() / 2;
      Row y = row;
      for (size_t i = 0; i < half; ++i) {
        y[i] = row[i] * cos[i] - row[half + i] * sin[i];
        y[half + i] = row[half + i] * cos[half + i] + row[i] * sin[half + i];
      }
      return y;
    };
    std::vector<T> out(static_cast<size_t>(n));
    const auto run = [&](const Row& row, bool is_backward) {
      set.rotate(of<T>(row).data(), of<float>(cos).data(),
                 of<float>(sin).data(), n, is_backward, out.data());
    };
    run(x, false);
    expect_near(out, rotated(x));
    run(gradient, true);
    expect_near(out, differences(x, gradient, rotated));
  });
}

}  // namespace
}  // namespace selfalign::engine
