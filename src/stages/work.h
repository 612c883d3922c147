// SPDX-License-Identifier: Apache-2.0
// The clock of work done: for each stage that asks a model, the seconds in
// which requests were under way, and the tokens and completions that came of
// it. It is kept in the store, in the transaction of the completions
// themselves, and goes on over sessions; the time between them does not count,
// nor does what a fork takes over. Rates, times and forecasts all come from
// here (tunings log the seconds of each step in their metrics.jsonl). Part of
// no digest of a stage (the seal of its table holds it, store/seals.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "store/store.h"

namespace selfalign::stages {

struct Work {
  double seconds = 0.0;
  int64_t num_tokens = 0;       // written in these seconds
  int64_t num_completions = 0;  // made in these seconds
  int64_t num_taken = 0;        // completions of another run, in no time
};

// None: nothing of the stage was timed (a run of an older program, or a stage
// not begun). Error kDamaged if the record is not as it was written.
std::optional<Work> work_of(const store::Reader& store,
                            const std::string& stage);
// Adds to what the stage has.
void add_work(store::Store& store, const std::string& stage, const Work& work);

}  // namespace selfalign::stages
