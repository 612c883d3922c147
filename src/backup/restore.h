// SPDX-License-Identifier: Apache-2.0
// A run from its backup, which may come from anybody: nothing in it leads out
// of the new run's folder, and nothing is taken for the run before all of it
// was checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace selfalign::backup {

struct RestoreReport {
  std::string run;
  std::string of;       // folder of the run that was backed up
  double time_s = 0.0;  // Unix time of the backup
  bool done = false;
  int64_t num_files = 0;
  int64_t num_bytes = 0;  // with the store
  double seconds = 0.0;

  static void describe(auto& visit, auto& self) {
    visit("run", self.run);
    visit("of", self.of);
    visit("time_s", self.time_s);
    visit("done", self.done);
    visit("files", self.num_files);
    visit("bytes", self.num_bytes);
    visit("seconds", self.seconds);
  }
};

// Makes the folder `run` of a backup's folder or of the file of an archive. All
// is made beside it under another name, every SHA-256 is compared, the store is
// checked (store::find_problems, store::require_files) and made durable before
// it takes its name. The backup is only read. Error kUsage where there is
// something at `run`, kFailed where a backup is being written there, kInput
// where it is no backup, kDamaged where a part is missing or not what it was,
// kResources where the disk has no room for it.
RestoreReport restore(const std::string& backup, const std::string& run);

// A line or two for a person.
std::string report_text(const RestoreReport& report);

}  // namespace selfalign::backup
