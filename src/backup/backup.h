// SPDX-License-Identifier: Apache-2.0
// Online backups of a run, which goes on meanwhile.
//
// A backup's store and files belong together as after a crash, from which a run
// goes on to the same digests:
// - A file that the store names (prompts, results of tunings, reports) was
//   written before the store named it and is not changed after that. The store
//   is copied first, in one snapshot, so its files are all there by then; each
//   copy must have the SHA-256 that the store says.
// - Files that no store names yet (checkpoints, hand-off folders) may be newer
//   than the store's copy, as after a crash that lost the last commits: rows
//   are made again with the same keys and draws, so a training that goes on
//   from such a checkpoint has the same samples. A stage ends with a commit of
//   its manifest before the next one begins, so where a stage ended while files
//   were copied the store is copied anew: no file is of a later stage than the
//   store. That matters where a server does not give the same text twice.
// - Files that belong together (checkpoint.json and the vectors that it names,
//   metrics as far as the checkpoint) are looked at again until none was put
//   in another's place since it was copied (run_files.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backup/target.h"

namespace selfalign::backup {

struct BackupReport {
  std::string run;
  bool done = false;  // the run was, so that there is nothing more to back up
  int64_t num_files = 0;          // of the run, its store aside
  int64_t num_files_written = 0;  // contents that were not there yet
  int64_t num_blocks = 0;         // of 4,096 bytes, of run.db
  int64_t num_blocks_written = 0;
  int64_t num_bytes = 0;  // of the run
  int64_t num_bytes_written = 0;
  double seconds = 0.0;
  std::vector<std::string> left_out;  // see RunFiles

  static void describe(auto& visit, auto& self) {
    visit("run", self.run);
    visit("done", self.done);
    visit("files", self.num_files);
    visit("files_written", self.num_files_written);
    visit("blocks", self.num_blocks);
    visit("blocks_written", self.num_blocks_written);
    visit("bytes", self.num_bytes);
    visit("bytes_written", self.num_bytes_written);
    visit("seconds", self.seconds);
    visit("left_out", self.left_out);
  }
};

// Backs up the run to a target that was just opened. `run` is absolute. Reads
// the run only; a copy of its store stands in the folder for temporary files
// (TMPDIR) meanwhile. Error kInput where there is no run, kDamaged where a file
// is not what the store says, and the target keeps its last backup; else the
// target's.
BackupReport back_up(const std::string& run, Target& target);

// A line for a person.
std::string report_text(const BackupReport& report);

}  // namespace selfalign::backup
