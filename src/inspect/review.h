// SPDX-License-Identifier: Apache-2.0
// Reviewing rows one by one: what there is to decide on, and keeping what a
// person decided. The screen and the keys are the command line's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recipe/prompts.h"
#include "store/store.h"

namespace selfalign::inspect {

struct ReviewOptions {
  std::string stage = "align.pairs";
  // The answers that the filter rejected, in place of the pairs.
  bool rejected = false;
  std::string profile = "default";
  std::string author = "person";
  int64_t limit = 0;  // rows at most; 0: all
};

struct ReviewItem {
  store::Row row;
  std::string instruction;
  std::string thought;
  std::vector<std::string> rules;  // "3 (helpful)", those that fired
  std::string answer;              // "" where the row is an instruction
  bool ends = true;
  std::optional<store::Verdict> verdict;  // of a rejected row
  std::optional<store::Review> decided;
};

// Rows of the stage that nobody decided on yet, in order.
class Review {
 public:
  // Error kUsage for a stage whose rows cannot be decided on, and for rejected
  // instructions: what came after them was chosen without them.
  Review(store::Store& store, const recipe::Prompts& prompts,
         ReviewOptions options);

  size_t size() const { return keys_.size(); }
  size_t position() const { return position_; }
  bool at_end() const { return position_ >= keys_.size(); }
  ReviewItem item() const;  // not at the end

  // Keeps the decision on item() at once and goes to the next. `text` is the
  // answer after an edit. Error kUsage where the decision does not fit: an edit
  // without text or of an instruction, keeping an answer that is empty.
  void decide(store::Decision decision, const std::string& text,
              const std::string& note);
  void skip() { ++position_; }
  bool back();  // false at the first
  int64_t num_decided() const { return num_decided_; }

 private:
  store::Store& store_;
  const recipe::Prompts& prompts_;
  const ReviewOptions options_;
  std::string filter_;
  std::vector<uint64_t> keys_;
  size_t position_ = 0;
  int64_t num_decided_ = 0;
};

// What a person has to do for decisions on `stage` to count: "" if the run's
// next stages honour them, else the command that makes a run which does.
std::string how_to_honour(const store::Reader& store, const std::string& stage);

}  // namespace selfalign::inspect
