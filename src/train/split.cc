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

StepSamples::StepSamples(const TrainOptions& options, size_t num_samples)
    : num_samples_(num_samples),
      batch_size_(size_t(options.batch_size)),
      per_epoch_((int64_t(num_samples) + options.batch_size - 1) /
                 options.batch_size),
      epochs_(options.epochs),
      seed_(options.seed) {}

std::vector<uint32_t> StepSamples::of(int64_t step) {
  const int epoch = epoch_of(step);
  if (epoch != order_epoch_) {
    order_ = epoch_order(seed_, epoch, num_samples_);
    order_epoch_ = epoch;
  }
  const size_t begin = size_t(step % per_epoch_) * batch_size_;
  const size_t end = std::min(begin + batch_size_, num_samples_);
  return {order_.begin() + long(begin), order_.begin() + long(end)};
}

}  // namespace selfalign::train
