// SPDX-License-Identifier: Apache-2.0
#include "train/split.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "train/packing.h"

namespace selfalign::train {
namespace {

constexpr size_t kReportSamples = 256;
constexpr int64_t kReportTokens = 16384;

}  // namespace

std::vector<Sample> report_samples(const std::vector<Sample>& samples) {
  std::vector<Sample> chosen;
  int64_t tokens = 0;
  for (const Sample& sample : samples) {
    if (sample.targets.empty()) continue;
    const int64_t length = int64_t(sample.inputs.size()) + 1;
    if (chosen.size() == kReportSamples ||
        (!chosen.empty() && tokens + length > kReportTokens)) {
      break;
    }
    tokens += length;
    chosen.push_back(sample);
  }
  return chosen;
}

SplitSamples split_samples(const std::vector<Sample>& samples, double share,
                           const TrainOptions& options) {
  if (share == 0.0) return {samples, {}};
  const auto count = size_t(std::ceil(share * double(samples.size()) - 1e-9));
  std::vector<uint32_t> order = epoch_order(options.seed, -1, samples.size());
  order.resize(count);
  const std::set<uint32_t> chosen(order.begin(), order.end());
  SplitSamples split;
  for (size_t i = 0; i < samples.size(); ++i) {
    (chosen.contains(uint32_t(i)) ? split.held_out : split.learnt)
        .push_back(samples[i]);
  }
  const auto has_targets = [](const Sample& sample) {
    return !sample.targets.empty();
  };
  if (std::none_of(split.learnt.begin(), split.learnt.end(), has_targets) ||
      std::none_of(split.held_out.begin(), split.held_out.end(), has_targets)) {
    throw Error(
        ErrorKind::kInput,
        str(options.folder, ": of ", samples.size(), " samples, ", count,
            " held out for validation, both parts need some with a "
            "response; give more samples or a smaller "
            "validation_share"));
  }
  return split;
}

}  // namespace selfalign::train
