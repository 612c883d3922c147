// SPDX-License-Identifier: Apache-2.0
// Parallel completion, sequential acceptance. Requests go to the generator in
// order, completions come back in any order and are stored raw at once; what
// is made of them (parsed rows, verdicts) is decided strictly in sequence. So
// a stage comes out the same whatever the order of arrival was and wherever an
// earlier process was killed: on a restart the stored completions are taken as
// they are and the same decisions are made again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "generate/generator.h"
#include "store/store.h"

namespace selfalign::stages {

struct PlannedRow {
  store::Row row;
  generate::Request request;  // its key is the row's
};

// What accepting one completion adds to the store.
struct Accepted {
  std::vector<store::Row> rows;
  std::vector<store::Verdict> verdicts;
};

struct CompletionPlan {
  std::string title;  // of the progress line
  std::string unit = "rows";
  uint64_t total = 0;  // in units; 0 is unknown

  // Row n = 0, 1, 2 ...; asked once for each n in order, none ends the plan.
  std::function<std::optional<PlannedRow>(int64_t n)> plan;
  // The part of a completion that is internal thought. Optional.
  std::function<std::string(const std::string& text)> find_thought;
  // Called for n = 0, 1, 2 ... in order. False: the stage ends with this one.
  std::function<bool(const store::Row& row, const generate::Completion&,
                     Accepted& out)>
      accept;
  // How many rows after the last accepted one may be under way; decides speed
  // only, never results. Optional: no limit.
  std::function<int64_t()> lookahead;
  // How many rows must be accepted before row n is planned: what came of those
  // may then decide what row n is (rounds.h). At most n; optional: none.
  std::function<int64_t(int64_t n)> needs;
  // Units done, for the progress line. Optional: rows accepted.
  std::function<uint64_t()> units_done;
};

// A generator that hands on completions of another run implements this, too:
// they are no work of this run (work.h).
class TakesOver {
 public:
  virtual ~TakesOver() = default;
  // True of the row whose completion was handed on just now.
  virtual bool took_over(uint64_t key) const = 0;
};

// Runs the plan and returns the number of rows accepted: rows 0..n-1 are what
// the stage consists of; completions of later rows, under way when the stage
// ended, are stored but count for nothing. Throws Error kInterrupted after an
// interrupt; everything that arrived until then is safe.
int64_t complete_rows(const CompletionPlan& plan,
                      generate::Generator& generator, store::Store& store);

}  // namespace selfalign::stages
