// SPDX-License-Identifier: Apache-2.0
// The servers of a fleet, each with a thread that takes rows and brings back
// what became of them. Not for others than fleet.cc.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "generate/fleet_lane.h"
#include "generate/fleet_options.h"
#include "generate/fleet_rows.h"
#include "generate/probe.h"

namespace selfalign::generate {

class FleetServers {
 public:
  using Clock = std::chrono::steady_clock;
  struct Ended {
    FleetRowPtr row;
    Completion completion;
  };

  // Errors as of make_fleet.
  explicit FleetServers(const FleetOptions& options);
  ~FleetServers();
  FleetServers(const FleetServers&) = delete;
  FleetServers& operator=(const FleetServers&) = delete;

  // All of these are called by one thread.
  void begin();  // work: the time that servers may be gone runs from here
  void add(Request request);
  bool has_enough() const;  // rows that wait
  bool has_rows() const;    // that have not ended, or were not taken
  // What has ended, after a moment's wait where nothing has.
  std::deque<Ended> take_ended();
  // Those of on_text.
  std::vector<FleetRowPtr> watched() const;
  // Whoever works on it may stop. False if it has ended already.
  bool drop(const FleetRowPtr& row);
  void drop_all();
  // Drains who is silent, reads the list again, gives up on all: Error kFailed.
  // `has_work`: an answer is waited for.
  void look_after(bool has_work);

  std::vector<std::shared_ptr<Generator>> open_generators() const;
  // Those of them that did not hang at scores lately; all where all did.
  std::vector<std::shared_ptr<Generator>> scorers() const;
  // It hung at scores (the next time it rests twice as long from them, an hour
  // at most); or it gave them.
  void hung_at_scores(const std::shared_ptr<Generator>& of);
  void gave_scores(const std::shared_ptr<Generator>& of);
  // One of these; where none is open, the one that was last.
  std::shared_ptr<Generator> any() const;
  // Drains the server of that generator; any thread.
  void fail(const std::shared_ptr<Generator>& of, const std::string& why);
  void wait();  // a moment, for servers to come

 private:
  void read_servers(const std::vector<std::string>& addresses);
  void read_files();
  void wait_for_first();
  [[noreturn]] void end_start(std::unique_lock<std::mutex>& lock,
                              bool any_other);
  std::string problems() const;
  size_t num_wanted() const;

  // Of one of them.
  void work(FleetLane& lane);
  void open(FleetLane& lane, std::unique_lock<std::mutex>& lock);
  std::string compare(FleetLane& lane, const std::optional<Probe>& probe);
  void ask(FleetLane& lane, std::unique_lock<std::mutex>& lock);
  std::optional<Request> next_for(FleetLane& lane);
  FleetRowPtr row_for(FleetLane& lane);
  FleetRowPtr late_row(const FleetLane& lane) const;
  void ended(FleetLane& lane, Completion completion);
  // That has it open; null: none any more.
  FleetLane* lane_of(const std::shared_ptr<Generator>& of) const;
  void drain(FleetLane& lane, const std::string& why);
  void fail(FleetLane& lane, const std::string& why);
  void give_back(const FleetLane::Asked& one);
  void settle(const FleetRowPtr& row);
  void push(const FleetRowPtr& row, Completion completion);
  void give_up_if_lost(const FleetRowPtr& row);

  const FleetOptions options_;
  mutable std::mutex mutex_;         // of all below
  std::condition_variable changed_;  // rows wait, servers came, an end
  std::condition_variable some_ended_;
  std::atomic<bool> is_ending_ = false;
  std::vector<std::unique_ptr<FleetLane>> lanes_;
  int num_lanes_ = 0;  // ever
  FleetRows rows_;
  std::deque<Ended> ended_;
  std::optional<Probe> probe_;  // of the first that told one,
  std::string probed_;          // at this address
  std::shared_ptr<Generator> last_open_;
  bool any_usage_ = false;
  bool is_watched_ = false;  // a row has on_text
  std::string list_problem_;
  Clock::time_point last_look_;
  Clock::time_point last_answer_;  // of any of them
  Clock::time_point begin_;        // since when answers are waited for
};

}  // namespace selfalign::generate
