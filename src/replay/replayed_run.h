// SPDX-License-Identifier: Apache-2.0
// A run that is played again: made anew in an empty folder by its own recipe,
// prompts and decisions from the completions and adapters that it has
// (replay_workbench.h), without a model. The run is only read.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "stages/run.h"
#include "store/store.h"

namespace selfalign::replay {

class ReplayedRun {
 public:
  // Plays `run` as far as it goes.
  ReplayedRun(const store::Reader& run, stages::Judging judging);
  ~ReplayedRun();
  ReplayedRun(const ReplayedRun&) = delete;
  ReplayedRun& operator=(const ReplayedRun&) = delete;

  const store::Reader& store() const { return *store_; }
  // Why it went no further; "": it is whole.
  const std::string& end() const { return end_; }
  // False where it ended for lack of what the run does not hold, such as a file
  // that a person gave: what is not made here says nothing of the run.
  bool can_be_made() const { return can_be_made_; }

 private:
  void play(const store::Reader& run, const recipe::Recipe& recipe,
            stages::Judging judging);

  const ScratchFolder scratch_;
  std::unique_ptr<store::Store> store_;
  std::string end_;
  bool can_be_made_ = true;
};

}  // namespace selfalign::replay
