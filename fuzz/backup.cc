// SPDX-License-Identifier: Apache-2.0
// A backup: the bytes of an archive, or those of backup.json ("{...") beside a
// store. It is restored.
#include "backup/restore.h"
#include "fuzz.h"

void fuzz_one(std::string_view bytes) {
  const std::string folder = fuzz_folder();
  const std::string run = folder + "/run";
  if (!bytes.starts_with("{")) {
    selfalign::backup::restore(fuzz_file(bytes, ".tar"), run);
    return;
  }
  std::filesystem::create_directories(folder + "/backup/files");
  fuzz_write(folder + "/backup/backup.json", bytes);
  fuzz_write(folder + "/backup/run.db", "no store");
  selfalign::backup::restore(folder + "/backup", run);
}
