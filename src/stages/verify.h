// Proof that a run lost nothing and has nothing twice. First what is stored is
// counted and digested afresh; then the run is played again from its own
// recipe, prompts and stored completions into an empty run (inherit.h), which
// must come to the same manifests: so every key, every parsed row, every
// verdict and every sample is recomputed, and no model is needed for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "store/store.h"

namespace selfalign::stages {

struct StageCheck {
  std::string stage;
  bool done = false;
  store::Account account;    // of the rows the stage consists of
  int64_t num_beyond = 0;    // rows under way when the stage had enough
  bool digest_same = false;  // stored and recomputed, of a stage that is done
};

struct Verification {
  std::string folder;
  std::vector<StageCheck> stages;  // in order of first row
  int num_replayed = 0;            // manifests that were made again
  std::string replay_end;          // why it went no further; "": it is whole
  std::string digest;              // of the run
  std::vector<store::Problem> problems;
};

// Reads only and sees one state of the run, also while a writer goes on.
// Scratch files go to the system's folder for them. Error kInput where there
// is no run; damage is a problem in the result, not an Error.
Verification verify_run(const std::string& folder);

// A line per stage, the problems, a closing line.
std::string verification_text(const Verification& verification);
// {"run", "digest", "replayed", "replay_end", "stages": [{"stage", "done",
//  "rows", "completions", "kept", "rejected": {reason: count}, "pending",
//  "beyond", "digest_same"}], "problems": [{"where", "expected", "found",
//  "advice"}]}
Json verification_json(const Verification& verification);

}  // namespace selfalign::stages
