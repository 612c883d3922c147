// SPDX-License-Identifier: Apache-2.0
#include "judge/agreement.h"

#include <map>

#include "base/error.h"

namespace selfalign::judge {

Agreement agreement(const std::vector<int>& first,
                    const std::vector<int>& second) {
  SELFALIGN_CHECK(first.size() == second.size());
  Agreement result;
  result.num_items = int64_t(first.size());
  if (first.empty()) return result;
  std::map<int, std::pair<double, double>> counts;
  double num_same = 0.0;
  for (size_t i = 0; i < first.size(); ++i) {
    counts[first[i]].first += 1.0;
    counts[second[i]].second += 1.0;
    if (first[i] == second[i]) num_same += 1.0;
  }
  const double n = double(first.size());
  double chance = 0.0;
  for (const auto& [verdict, count] : counts) {
    chance += count.first / n * (count.second / n);
  }
  result.raw = num_same / n;
  if (chance < 1.0) result.kappa = (result.raw - chance) / (1.0 - chance);
  return result;
}

}  // namespace selfalign::judge
