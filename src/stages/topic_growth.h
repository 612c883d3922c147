// SPDX-License-Identifier: Apache-2.0
// How the topics of one question type grow to the number that is asked for
// (profile default; the published way is in red_team.cc): in rounds, each of as
// many requests as the missing topics need, but no more than there are topics
// to show, unless it is the only round. A type ends when it has enough, or when
// it is saturated: its requests hardly bring topics that it did not have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/record.h"

namespace selfalign::stages {

class TopicGrowth {
 public:
  // Requests of a round where fewer topics are known; also the fewest from
  // which a type is called saturated.
  static constexpr int64_t kMinRequests = 4;
  // Below one new topic in so many requests a type is saturated.
  static constexpr int64_t kRequestsPerTopic = 4;

  // `wanted` topics beside the `num_seeds` that there are, in up to
  // `max_rounds`.
  TopicGrowth(int64_t wanted, size_t num_seeds, int max_rounds)
      : wanted_(wanted),
        num_seeds_(num_seeds),
        max_rounds_(max_rounds),
        num_known_(num_seeds) {}

  // Requests of the next round, where all of the one before are answered and
  // `num_known` topics are known, seeds included, and a request lists
  // `per_request` more. 0: no further round.
  int64_t next_round(size_t num_known, int64_t per_request);
  // Takes up what the last round brought, without another.
  void settle(size_t num_known);

  int64_t num_new() const { return int64_t(num_known_ - num_seeds_); }
  bool saturated() const { return saturated_; }

 private:
  int64_t wanted_;
  size_t num_seeds_;
  int max_rounds_;
  size_t num_known_;
  int64_t num_asked_ = 0;  // in the round under way
  // Since it was last seen whether the type is saturated.
  int64_t window_requests_ = 0;
  int64_t window_topics_ = 0;
  bool saturated_ = false;
};

struct TypeGrowth {
  int64_t num_new = 0;
  bool saturated = false;

  static void describe(auto& visit, auto& self) {
    visit("new", self.num_new);
    visit("saturated", self.saturated);
  }
};

// What the topics came to: "topics" in the report of stage redteam.topics.
struct TopicFigures {
  int64_t asked_for = 0;  // by type
  int64_t rounds = 0;
  Named<TypeGrowth> types;

  static void describe(auto& visit, auto& self) {
    visit("asked_for", self.asked_for);
    visit("rounds", self.rounds);
    visit("types", self.types);
  }
};

// "topics: 7 asked for by type; 3 to 7 came in 2 rounds; saturated: Riddles
// (3)". "" if there are none.
std::string topics_line(const TopicFigures& figures);
std::string topics_line(const Json& figures);  // the same, not read yet

}  // namespace selfalign::stages
