// SPDX-License-Identifier: Apache-2.0
// How sure a figure is: 95 % intervals of shares, means and differences. The
// bootstrap draws by counter (base/random.h), so that an interval is the same
// bits on every machine, however many cores.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace selfalign::eval {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

// Of a share of n, n >= 0 (Wilson 1927; no continuity correction). `successes`
// in [0, n] may be a fraction: ties count as halves. [0, 1] where n is 0.
Interval wilson(double successes, int64_t n);

// Percentile bootstrap (Efron 1979) over n items: `statistic` of num_samples
// samples of n item numbers drawn with replacement, its 2.5 % and 97.5 %
// quantiles with linear interpolation. n = 0 gives [0, 0] and calls nothing.
Interval bootstrap(
    int64_t n,
    const std::function<double(const std::vector<uint32_t>&)>& statistic,
    uint64_t seed, int num_samples = 2000);

double mean(const std::vector<double>& values);  // 0 of none
Interval bootstrap_mean(const std::vector<double>& values, uint64_t seed);

// Mean of a - b over the same items, which are drawn together, so that what
// makes an item hard for both does not count as doubt.
struct Paired {
  double difference = 0.0;
  double low = 0.0;
  double high = 0.0;
  int64_t n = 0;
};
// As many values in `a` as in `b`, of the same items in the same order.
Paired paired_difference(const std::vector<double>& a,
                         const std::vector<double>& b, uint64_t seed);

}  // namespace selfalign::eval
