// SPDX-License-Identifier: Apache-2.0
#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace selfalign::eval {
namespace {

constexpr double kZ = 1.959963984540054;  // the 97.5 % quantile

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above],
                   place - static_cast<double>(below));
}

}  // namespace

Interval wilson(double successes, int64_t n) {
  if (n == 0) return {0.0, 1.0};
  const auto count = static_cast<double>(n);
  SELFALIGN_CHECK(successes >= 0 && successes <= count, successes, " of ", n);
  const double share = successes / count;
  const double square = kZ * kZ / count;
  const double center = share + square / 2;
  const double half =
      kZ * std::sqrt(share * (1 - share) / count + square / (4 * count));
  return {std::max(0.0, (center - half) / (1 + square)),
          std::min(1.0, (center + half) / (1 + square))};
}

Interval bootstrap(
    int64_t n,
    const std::function<double(const std::vector<uint32_t>&)>& statistic,
    uint64_t seed, int num_samples) {
  SELFALIGN_CHECK(n >= 0 && n <= UINT32_MAX && num_samples > 0);
  if (n == 0) return {};
  const auto count = static_cast<uint64_t>(n);
  std::vector<uint32_t> sample(count);
  std::vector<double> values;
  for (int s = 0; s < num_samples; ++s) {
    const uint64_t first = static_cast<uint64_t>(s) * count;
    for (uint64_t i = 0; i < count; ++i) {
      sample[i] = static_cast<uint32_t>(draw_index(seed, first + i, count));
    }
    values.push_back(statistic(sample));
  }
  std::sort(values.begin(), values.end());
  return {quantile(values, 0.025), quantile(values, 0.975)};
}

double mean(const std::vector<double>& values) {
  if (values.empty()) return 0.0;
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

Interval bootstrap_mean(const std::vector<double>& values, uint64_t seed) {
  const auto mean_of = [&](const std::vector<uint32_t>& sample) {
    double sum = 0.0;
    for (const uint32_t i : sample) sum += values[i];
    return sum / static_cast<double>(sample.size());
  };
  return bootstrap(static_cast<int64_t>(values.size()), mean_of, seed);
}

Paired paired_difference(const std::vector<double>& a,
                         const std::vector<double>& b, uint64_t seed) {
  SELFALIGN_CHECK(a.size() == b.size(), a.size(), " against ", b.size());
  std::vector<double> differences(a.size());
  std::transform(a.begin(), a.end(), b.begin(), differences.begin(),
                 std::minus<>());
  const Interval interval = bootstrap_mean(differences, seed);
  return {mean(differences), interval.low, interval.high,
          static_cast<int64_t>(a.size())};
}

}  // namespace selfalign::eval
