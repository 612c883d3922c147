// SPDX-License-Identifier: Apache-2.0
#include "stages/topic_growth.h"

#include <algorithm>

#include "base/error.h"

namespace selfalign::stages {

void TopicGrowth::settle(size_t num_known) {
  window_requests_ += num_asked_;
  window_topics_ += int64_t(num_known) - int64_t(num_known_);
  num_known_ = num_known;
  num_asked_ = 0;
  if (window_requests_ < kMinRequests || num_new() >= wanted_) return;
  saturated_ = window_topics_ * kRequestsPerTopic < window_requests_;
  window_requests_ = 0;
  window_topics_ = 0;
}

int64_t TopicGrowth::next_round(size_t num_known, int64_t per_request) {
  settle(num_known);
  const int64_t missing = wanted_ - num_new();
  if (saturated_ || missing <= 0) return 0;
  num_asked_ = (missing + per_request - 1) / per_request;
  if (max_rounds_ > 1) {
    num_asked_ =
        std::min(num_asked_, std::max(kMinRequests, int64_t(num_known)));
  }
  return num_asked_;
}

std::string topics_line(const TopicFigures& figures) {
  if (figures.types.empty()) return "";
  int64_t fewest = INT64_MAX;
  int64_t most = 0;
  std::string saturated;
  for (const auto& [type, one] : figures.types) {
    fewest = std::min(fewest, one.num_new);
    most = std::max(most, one.num_new);
    if (!one.saturated) continue;
    saturated +=
        str(saturated.empty() ? "" : ", ", type, " (", one.num_new, ")");
  }
  std::string line =
      str("topics: ", figures.asked_for, " asked for by type; ", fewest,
          fewest < most ? str(" to ", most) : "", " came in ", figures.rounds,
          figures.rounds == 1 ? " round" : " rounds");
  if (!saturated.empty()) line += "; saturated: " + saturated;
  return line;
}

std::string topics_line(const Json& figures) {
  return topics_line(from_json<TopicFigures>(figures, "redteam.topics"));
}

}  // namespace selfalign::stages
