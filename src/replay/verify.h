// SPDX-License-Identifier: Apache-2.0
// Proof that a run lost nothing and has nothing twice. First what is stored is
// counted and digested afresh; then the run is played again from its own
// recipe, prompts and stored completions into an empty run
// (replay_workbench.h), which must come to the same manifests: so every key,
// every parsed row, every verdict and every sample is recomputed, and no model
// is needed for it. Values that nothing is computed from (times, counts of
// tokens, losses, thoughts) are held by seals and the chain over manifests
// (store/seals.h), and the files of the run by their digests in the store.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "store/records.h"

namespace selfalign::replay {

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
  store::Evidence evidence;
  int num_files = 0;  // of the run's folder that were compared
  std::vector<store::Problem> problems;
};

// Reads only and sees one state of the run, also while a writer goes on.
// Scratch files go to the system's folder for them. Error kInput where there
// is no run; damage is a problem in the result, not an Error.
// `public_key`: 64 hex digits of the key that must have signed the run; "": it
// need not be signed.
Verification verify_run(const std::string& folder,
                        const std::string& public_key = "");

// A line per stage, the problems, a closing line.
std::string verification_text(const Verification& verification);
// {"run", "digest", "chain", "made_before" (the version of a store that had no
//  evidence when it was made, else 0), "signed_by" ("": nobody), "files" (how
//  many were compared), "replayed", "replay_end", "stages": [{"stage", "done",
//  "rows", "completions", "kept", "rejected": {reason: count}, "pending",
//  "beyond", "digest_same"}], "problems": [{"where", "expected", "found",
//  "advice"}]}
Json verification_json(const Verification& verification);

}  // namespace selfalign::replay
