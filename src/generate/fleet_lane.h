// SPDX-License-Identifier: Apache-2.0
// One server of a fleet: how it does, and how much it is asked at once. Not for
// others than fleet.cc, under whose lock it is used.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "generate/fleet_rows.h"
#include "generate/generator.h"

namespace selfalign::generate {

// How many requests a server has at once: more as long as that brings more
// tokens a second, by hill climbing.
class FleetWindow {
 public:
  using Clock = std::chrono::steady_clock;

  FleetWindow(int start, int most) : size_(start), most_(most) {}

  int size() const { return size_; }
  // A request of so many tokens was answered; `is_full`: there were always
  // enough requests for it.
  void answered(int64_t num_tokens, bool is_full, Clock::time_point now);
  // The server failed or was overloaded: half as many.
  void failed();

 private:
  void end_epoch(double rate);

  int size_;
  int most_;
  int proven_ = 0;           // the size before the last step up; 0: no step
  double proven_rate_ = 0;   // tokens a second at that size
  int num_rests_ = 0;        // epochs until the next try
  int64_t num_tokens_ = 0;   // of this epoch
  int num_answered_ = 0;     // in this epoch
  bool was_full_ = true;     // all of this epoch
  Clock::time_point begin_;  // of this epoch
};

struct FleetLane {
  using Clock = std::chrono::steady_clock;

  // A row that this server works on.
  struct Asked {
    FleetRowPtr row;
    std::shared_ptr<std::atomic<bool>> dropped;
    Clock::time_point since;
  };

  FleetLane(int number, std::string server, int start, int most)
      : id(number), address(std::move(server)), window(start, most) {}

  bool is_open() const { return generator != nullptr && !is_draining; }
  std::set<uint64_t> at_work() const;  // numbers of rows
  // Whether it is silent for longer than it may be.
  bool is_stalled(double stall_s, Clock::time_point now) const;
  // Gets no more rows, and drops what it has.
  void drain();
  // Rests after a failure; the next one twice as long.
  void rest(double first_s, double most_s, const std::string& why);
  // Gets no scores for as long, the next time twice as long, an hour at most.
  void rest_from_scores(double first_s);
  // Its server answered.
  void note_answer(const Completion& completion, const Asked& asked);

  const int id;
  const std::string address;
  FleetWindow window;
  std::shared_ptr<Generator> generator;        // null: it is not open
  std::shared_ptr<std::atomic<bool>> is_over;  // set: the generator's work ends
  std::atomic<bool> is_draining = false;
  // Else it gets no more rows, is not opened, and its thread ends.
  bool is_listed = true;
  bool has_ended = false;  // the thread
  bool was_tried = false;  // to open it
  bool is_probed = false;  // it told a probe
  bool is_short_of_rows = false;
  std::string problem;  // of the last failure; "": it works
  double rest_s = 0;
  Clock::time_point rests_until;
  std::multimap<uint64_t, Asked> asked;  // by the request's key
  RecentPrefixes prefixes;
  double latency_s = 0;  // of an answer, in the mean of the last ones
  Clock::time_point last_answer;
  // Of life: answers, and that it could be opened. A row that it gives no
  // answer to is its own fault only if it gives another one afterwards.
  int64_t num_signs = 0;
  std::string last_loss;  // since the last sign; "": none
  // It hung at scores: it is given none until then, but where nobody else is.
  double scores_rest_s = 0;
  Clock::time_point no_scores_until;
  int64_t num_rows = 0;
  std::thread thread;
};

}  // namespace selfalign::generate
