// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet_lane.h"

#include <algorithm>

namespace selfalign::generate {
namespace {

// An epoch is this long and has twice as many answers as requests at once, so
// that each of these was begun and ended in it.
constexpr std::chrono::milliseconds kEpoch(500);
constexpr double kStep = 1.25;   // up
constexpr double kPays = 1.04;   // in tokens a second
constexpr int kRests = 12;       // epochs, after a step that did not pay
constexpr double kRecent = 0.1;  // share of the last answer in the mean
constexpr double kPatience = 8;  // latencies

FleetLane::Clock::time_point after(double seconds) {
  return FleetLane::Clock::now() +
         std::chrono::duration_cast<FleetLane::Clock::duration>(
             std::chrono::duration<double>(seconds));
}

}  // namespace

void FleetWindow::answered(int64_t num_tokens, bool is_full,
                           Clock::time_point now) {
  if (num_answered_ == 0) {
    begin_ = now;
    was_full_ = true;
    num_tokens_ = 0;
    num_answered_ = 1;
    return;  // its tokens were made before the epoch
  }
  was_full_ = was_full_ && is_full;
  num_tokens_ += num_tokens;
  if (++num_answered_ <= 2 * size_ || now - begin_ < kEpoch) return;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  num_answered_ = 0;
  if (was_full_) end_epoch(double(num_tokens_) / seconds);
}

void FleetWindow::end_epoch(double rate) {
  if (num_rests_ > 0) {
    --num_rests_;
    return;
  }
  if (proven_ > 0 && rate < kPays * proven_rate_) {
    size_ = proven_;
    proven_ = 0;
    num_rests_ = kRests;
    return;
  }
  proven_ = size_;
  proven_rate_ = rate;
  size_ = std::min(most_, std::max(size_ + 1, int(size_ * kStep)));
  if (size_ == proven_) proven_ = 0;
}

void FleetWindow::failed() {
  size_ = std::max(1, size_ / 2);
  proven_ = 0;
  num_rests_ = 0;
  num_answered_ = 0;
}

std::set<uint64_t> FleetLane::at_work() const {
  std::set<uint64_t> numbers;
  for (const auto& [key, one] : asked) numbers.insert(one.row->number);
  return numbers;
}

bool FleetLane::is_stalled(double stall_s, Clock::time_point now) const {
  if (asked.empty() || !is_open()) return false;
  Clock::time_point begin = now;
  for (const auto& [key, one] : asked) begin = std::min(begin, one.since);
  const std::chrono::duration<double> silent =
      now - std::max(begin, last_answer);
  return silent.count() > std::max(stall_s, kPatience * latency_s);
}

void FleetLane::drain() {
  is_draining = true;
  if (is_over) *is_over = true;
  for (const auto& [key, one] : asked) *one.dropped = true;
}

void FleetLane::rest(double first_s, double most_s, const std::string& why) {
  problem = why;
  rest_s = std::clamp(2 * rest_s, first_s, most_s);
  rests_until = after(rest_s);
  window.failed();
}

void FleetLane::rest_from_scores(double first_s) {
  constexpr double kMost = 3600;
  scores_rest_s = std::clamp(2 * scores_rest_s, first_s, kMost);
  no_scores_until = after(scores_rest_s);
}

void FleetLane::note_answer(const Completion& completion, const Asked& one) {
  last_answer = Clock::now();
  const double took_s =
      std::chrono::duration<double>(last_answer - one.since).count();
  latency_s =
      latency_s == 0 ? took_s : latency_s + kRecent * (took_s - latency_s);
  problem.clear();
  rest_s = 0;
  ++num_signs;
  last_loss.clear();
  ++num_rows;
  window.answered(completion.num_tokens, !is_short_of_rows, last_answer);
}

}  // namespace selfalign::generate
