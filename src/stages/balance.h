// SPDX-License-Identifier: Apache-2.0
// How the questions of red-teaming are spread over the question types (recipe
// key instruct.balance).
//   quota     each type gets its share of all questions by the weights in
//             red_team.yaml (largest remainder); a type asks as long as it
//             lacks questions. One that has used up its share of the requests
//             leaves what it lacks to the others.
//   smallest  as the paper's code: the topics of every type are cut to the
//             number of the type that has fewest, then all are used in turn.
//   none      all topics in turn: a type with more topics gets more questions.
// Which topics request n asks for depends only on n and on what came of the
// requests it may know (rounds.h): the same whatever the timing was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"

namespace selfalign::stages {

struct BalanceOptions {
  std::string kind = "quota";  // quota, smallest, none
  int64_t num_questions = 0;   // wanted
  int64_t max_requests = 0;
  uint64_t draw = 0;          // key of the order of topics
  int hints_per_request = 1;  // topics a request asks for, each a question
};

// A question type: its weight and the numbers of its topics.
struct TypeTopics {
  std::string name;
  double weight = 1.0;
  std::vector<size_t> topics;
};

// `total` items by weight: the whole parts, then one each by the largest
// remainder, the earlier in `order` on a tie. Nothing where all weights are 0.
std::vector<int64_t> largest_remainder(int64_t total,
                                       const std::vector<double>& weights,
                                       const std::vector<uint32_t>& order);

struct TypeFigures {
  int64_t num_topics = 0;
  int64_t asked = 0;  // topics that requests asked for
  int64_t kept = 0;
  // Where types have shares: what was meant for this one, and what became of it
  // when others could not fill theirs.
  std::optional<int64_t> share = {};
  std::optional<int64_t> wanted = {};

  static void describe(auto& visit, auto& self) {
    visit("topics", self.num_topics);
    visit("asked", self.asked);
    visit("kept", self.kept);
    visit("share", self.share);
    visit("wanted", self.wanted);
  }
};

// In the report of the stage of the questions.
struct BalanceFigures {
  std::string balance;        // BalanceOptions::kind
  int64_t unused_topics = 0;  // cut away
  Named<TypeFigures> types;

  static void describe(auto& visit, auto& self) {
    visit("balance", self.balance);
    visit("unused_topics", self.unused_topics);
    visit("types", self.types);
  }
};

class TypeBalance {
 public:
  // Some type must have a topic.
  TypeBalance(const BalanceOptions& options, std::vector<TypeTopics> types);

  // Requests whose outcome must be there before request n is planned.
  int64_t needs(int64_t n) const;
  // The numbers of the topics that request n asks for, hints_per_request of
  // them; n = 0, 1, 2 ... once each, when needs(n) outcomes have been added.
  std::vector<size_t> next_topics(int64_t n);
  // Whether the type has all it may have: a further question is surplus.
  bool is_full(const std::string& type) const;
  // A question of the next request in sequence is kept, of whatever type.
  void add_kept(const std::string& type);
  // That request is done; it asked for topics of these types, a type as often
  // as it had topics of it.
  void add_outcome(const std::vector<std::string>& asked);
  // Nothing is wanted any more, or no type is left that could bring it.
  bool finished() const;
  int64_t num_kept() const { return num_kept_; }

  // "3 of 5 for <type>, ...": types with fewer questions than their share.
  std::string short_types() const;
  // BalanceFigures
  Json figures() const;

 private:
  // What is known after some outcomes.
  struct State {
    std::vector<int64_t> wanted;  // by type; with quotas
    std::vector<int64_t> asked;
    std::vector<int64_t> kept;
    std::vector<bool> given_up;
  };
  // Of a request: types of its topics and of the questions kept.
  struct Outcome {
    std::vector<size_t> asked;
    std::vector<size_t> kept;
  };
  size_t type_named(const std::string& type) const;
  void cut_to_smallest();
  void ask(const std::vector<size_t>& types, State& state) const;
  void give_up(size_t type, State& state) const;
  size_t next_type() const;

  BalanceOptions options_;
  std::vector<TypeTopics> types_;
  bool has_quotas_;
  std::vector<uint32_t> order_;     // of types, drawn: who is first on a tie
  std::vector<size_t> all_topics_;  // in the order of use; without quotas
  std::vector<int64_t> share_;      // wanted at the beginning
  std::vector<int64_t> planned_;    // requests by type
  std::vector<Outcome> outcomes_;
  Outcome next_;  // of the request that is being accepted
  size_t num_known_ = 0;
  State known_;  // after outcomes 0 .. num_known_ - 1
  State now_;    // after all
  int64_t num_kept_ = 0;
  int64_t num_unused_ = 0;  // topics cut away
};

}  // namespace selfalign::stages
