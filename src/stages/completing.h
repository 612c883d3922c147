// SPDX-License-Identifier: Apache-2.0
// Parallel completion, sequential acceptance. Requests go to the generator in
// order, completions come back in any order and are stored raw at once; what
// is made of them (parsed rows, verdicts) is decided strictly in sequence. So
// a stage comes out the same whatever the order of arrival was and wherever an
// earlier process was killed: on a restart the stored completions are taken as
// they are and the same decisions are made again.
#pragma once

#include <cstdint>
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

struct CompletedRow {
  const store::Row& row;
  const generate::Completion& completion;
};

// What a stage asks a model and what it makes of the answers.
class CompletionPlan {
 public:
  virtual ~CompletionPlan() = default;

  // Row n = 0, 1, 2 ...; asked once for each n in order, none ends the plan.
  virtual std::optional<PlannedRow> plan(int64_t n) = 0;
  // Called for n = 0, 1, 2 ... in order. False: the stage ends with this one.
  virtual bool accept(const store::Row& row,
                      const generate::Completion& completion,
                      Accepted& out) = 0;
  // Whether accepting rows asks the model for scores; then foresee() is called
  // with rows, the next some in sequence, before the first of them is accepted,
  // and can ask for what accepting them will need at once.
  virtual bool asks_scores() const { return false; }
  virtual void foresee(const std::vector<CompletedRow>& /*rows*/) {}
  // The part of a completion that is internal thought.
  virtual std::string find_thought(const std::string& /*text*/) const {
    return "";
  }
  // How many rows after the last accepted one may be under way; decides speed
  // only, never results.
  virtual int64_t lookahead() const { return INT64_MAX / 2; }
  // How many rows must be accepted before row n is planned: what came of those
  // may then decide what row n is (rounds.h). At most n.
  virtual int64_t needs(int64_t /*n*/) const { return 0; }

  // Name under which the store keeps how many rows were accepted and what that
  // came to, so that a later process goes on from there; "": it accepts all
  // rows again.
  virtual std::string checkpoint() const { return ""; }
  // What accepting has come to, beside what it added; where there is a
  // checkpoint.
  virtual Json state() const { return {}; }
  // Takes up the state that another process left once `num_accepted` rows were
  // accepted; the store has these rows and what came of them. Error kInput
  // where it is none.
  virtual void set_state(const Json& /*state*/, int64_t /*num_accepted*/,
                         const std::string& /*where*/) {}

  // The progress line: its title, what it counts, how many of that there are to
  // be (0: not known) and how many there are once some rows are accepted.
  virtual std::string title() const = 0;
  virtual std::string unit() const { return "rows"; }
  virtual uint64_t total() const { return 0; }
  virtual uint64_t units_done(int64_t num_accepted) const {
    return uint64_t(num_accepted);
  }
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
int64_t complete_rows(CompletionPlan& plan, generate::Generator& generator,
                      store::Store& store);

}  // namespace selfalign::stages
