// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet_rows.h"

#include <algorithm>

#include "base/hash.h"

namespace selfalign::generate {
namespace {

// What a server's cache of prefixes may be counted on to hold.
constexpr size_t kMaxPrefixes = 8;
// Rows that are looked at for one of a prefix that is nobody's.
constexpr int kMaxLooked = 32;

}  // namespace

void RecentPrefixes::add(uint64_t prefix) {
  if (prefix == 0 || (!all_.empty() && all_.front() == prefix)) return;
  std::erase(all_, prefix);
  all_.push_front(prefix);
  if (all_.size() > kMaxPrefixes) all_.pop_back();
}

bool RecentPrefixes::has(uint64_t prefix) const {
  return std::find(all_.begin(), all_.end(), prefix) != all_.end();
}

FleetRowPtr FleetRows::add(Request request) {
  auto row = std::make_shared<FleetRow>();
  row->request = std::move(request);
  row->number = next_number_++;
  const auto& prefix = row->request.prefix;
  if (prefix && !prefix->empty()) {
    row->prefix = Hasher().add(*prefix).key();
  }
  open_.emplace(row->number, row);
  put_back(row);
  return row;
}

void FleetRows::put_back(const FleetRowPtr& row) {
  if (row->is_settled) return;
  waiting_.emplace(row->number, row);
  by_prefix_[row->prefix].insert(row->number);
}

FleetRowPtr FleetRows::take(uint64_t number) {
  const auto found = waiting_.find(number);
  FleetRowPtr row = std::move(found->second);
  waiting_.erase(found);
  const auto prefix = by_prefix_.find(row->prefix);
  prefix->second.erase(number);
  if (prefix->second.empty()) by_prefix_.erase(prefix);
  return row;
}

FleetRowPtr FleetRows::take_with(uint64_t prefix, int id) {
  const auto found = by_prefix_.find(prefix);
  if (found == by_prefix_.end()) return nullptr;
  for (const uint64_t number : found->second) {
    if (!waiting_.at(number)->lost_at.contains(id)) return take(number);
  }
  return nullptr;
}

FleetRowPtr FleetRows::take(int id, const RecentPrefixes& own,
                            const Prefixes& others) {
  for (const bool may_share : {false, true}) {
    for (const uint64_t prefix : own.all()) {
      const bool is_shared = std::any_of(
          others.begin(), others.end(),
          [prefix](const RecentPrefixes* of) { return of->is_last(prefix); });
      if (is_shared && !may_share) continue;
      if (FleetRowPtr row = take_with(prefix, id)) return row;
    }
  }
  uint64_t oldest = 0;
  bool any = false;
  int num_looked = 0;
  for (const auto& [number, row] : waiting_) {
    if (row->lost_at.contains(id)) continue;
    const bool is_free = std::none_of(
        others.begin(), others.end(), [&row = row](const RecentPrefixes* of) {
          return row->prefix != 0 && of->has(row->prefix);
        });
    if (is_free) return take(number);
    if (!any) oldest = number;
    any = true;
    if (++num_looked == kMaxLooked) break;
  }
  return any ? take(oldest) : nullptr;
}

FleetRowPtr FleetRows::oldest_under_way(
    int id, const std::set<uint64_t>& at_work) const {
  FleetRowPtr oldest;
  for (const auto& [number, row] : open_) {
    if (row->num_asking != 1 || row->lost_at.contains(id) ||
        at_work.contains(number)) {
      continue;
    }
    if (!oldest || row->since < oldest->since) oldest = row;
  }
  return oldest;
}

bool FleetRows::has_for(int id) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [id](const auto& one) {
    return !one.second->lost_at.contains(id);
  });
}

void FleetRows::settle(const FleetRowPtr& row) {
  row->is_settled = true;
  open_.erase(row->number);
  if (waiting_.contains(row->number)) take(row->number);
}

void FleetRows::clear() {
  for (const auto& [number, row] : open_) row->is_settled = true;
  open_.clear();
  waiting_.clear();
  by_prefix_.clear();
}

}  // namespace selfalign::generate
