// SPDX-License-Identifier: Apache-2.0
// A person compares the answers of two subjects without knowing whose they are.
// Kept like a model's judgements, so that both can be compared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/item_log.h"
#include "judge/judging.h"

namespace selfalign::judge {

// What is shown: the conversation up to the turn that is to be judged.
struct BlindItem {
  std::vector<std::string> turns;
  std::vector<std::string> first;  // answers of the one shown first
  std::vector<std::string> second;
};

class HumanSession {
 public:
  // In an order of questions, and of the two answers of each, that the seed
  // decides; what `log` holds a verdict of already is left out. All of it must
  // outlive the session.
  HumanSession(const Contest& contest, const std::string& name, uint64_t seed,
               eval::ItemLog& log);

  bool at_end() const { return position_ >= open_.size(); }
  size_t position() const { return position_; }  // of those to go
  size_t size() const { return open_.size(); }
  size_t num_decided() const { return num_decided_; }
  BlindItem item() const;  // not at the end

  // Keeps the verdict at once and goes on. Not kNone.
  void decide(Verdict verdict);
  void skip() { ++position_; }

  // All verdicts there are, those of earlier sessions too: what was not judged
  // is no item.
  std::vector<PairVerdict> verdicts() const;
  eval::Comparison comparison(uint64_t seed);

 private:
  struct Place {
    size_t pair;
    size_t turn;
    bool a_first;
    uint64_t key;
  };
  const Contest& contest_;
  std::string name_;
  eval::ItemLog& log_;
  std::vector<Place> all_;
  std::vector<size_t> open_;  // of all_
  size_t position_ = 0;
  size_t num_decided_ = 0;
};

}  // namespace selfalign::judge
