// SPDX-License-Identifier: Apache-2.0
// The rows of a fleet: those that wait for a server, and those under way. Not
// for others than fleet.cc, under whose lock it is used.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "generate/generator.h"

namespace selfalign::generate {

struct FleetRow {
  Request request;
  uint64_t number = 0;  // in order of arrival
  uint64_t prefix = 0;  // hash; 0: it has none
  int num_asking = 0;   // servers at work on it
  // Servers that gave it no answer, each with the signs of life that it had
  // given by then (FleetLane::num_signs).
  std::map<int, int64_t> lost_at;
  Completion loss;  // the last of these
  bool is_settled = false;
  std::chrono::steady_clock::time_point since;  // of the first that works on it
};
using FleetRowPtr = std::shared_ptr<FleetRow>;

// Prefixes that a server had last, the latest first: it holds their keys and
// values yet.
class RecentPrefixes {
 public:
  void add(uint64_t prefix);
  bool has(uint64_t prefix) const;
  bool is_last(uint64_t prefix) const {
    return !all_.empty() && all_.front() == prefix;
  }
  const std::deque<uint64_t>& all() const { return all_; }

 private:
  std::deque<uint64_t> all_;
};

class FleetRows {
 public:
  using Prefixes = std::vector<const RecentPrefixes*>;

  FleetRowPtr add(Request request);
  // Waits again, in its old place.
  void put_back(const FleetRowPtr& row);
  // The next row for server `id`, null if none waits for it: of a prefix that
  // it had, and that no other had last; else of another that it had, else of
  // one that nobody had, else the oldest.
  FleetRowPtr take(int id, const RecentPrefixes& own, const Prefixes& others);
  // The oldest that one server alone works on, and which server `id` has
  // neither lost nor is at work on (`at_work`); null if there is none.
  FleetRowPtr oldest_under_way(int id, const std::set<uint64_t>& at_work) const;
  void settle(const FleetRowPtr& row);
  void clear();

  // Whether one waits for server `id`.
  bool has_for(int id) const;
  size_t num_waiting() const { return waiting_.size(); }
  size_t num_open() const { return open_.size(); }
  const std::map<uint64_t, FleetRowPtr>& open() const { return open_; }

 private:
  FleetRowPtr take(uint64_t number);
  FleetRowPtr take_with(uint64_t prefix, int id);

  uint64_t next_number_ = 0;
  std::map<uint64_t, FleetRowPtr> open_;     // by number: all not settled
  std::map<uint64_t, FleetRowPtr> waiting_;  // by number
  std::unordered_map<uint64_t, std::set<uint64_t>> by_prefix_;  // waiting
};

}  // namespace selfalign::generate
