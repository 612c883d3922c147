// SPDX-License-Identifier: Apache-2.0
// A backup as a folder, which each further one brings up to date. It holds
// backup.json, run.db, files/SHA-256 and, for a moment, changes-SHA-256.
//
// A kill at any moment leaves the last backup or the new one. Contents have
// names of their own, and none that the last backup names goes away before the
// new one is there. run.db is changed in place, but only by a file of blocks
// that backup.json names: that is made durable first, then backup.json takes
// its new content at once (rename), then the blocks are put into run.db, as
// often as it takes.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "backup/target.h"
#include "store/writer_lock.h"

namespace selfalign::backup {

class FolderTarget : public Target {
 public:
  // Makes the folder, for its owner alone, or goes on with the backup of `run`
  // in it; ends what a killed one left. Error kUsage where there is something
  // else in it or the backup of another run, kFailed where another process
  // writes to it, kInput or kDamaged where the backup there is none any more.
  FolderTarget(std::string folder, const std::string& run);

  const BackedFile* last(const std::string& path) const override;
  // Contents of before were read when it was opened: one that a disk has
  // changed is kept anew.
  bool holds(const std::string& sha256, int64_t size) const override;
  bool add(const SourceFile& source, const std::string& sha256) override;
  void commit(Manifest& manifest, const std::string& store) override;
  // Copies that a killed process left there are removed by the next.
  std::string scratch_parent() const override { return folder_; }

 private:
  std::string path(const std::string& name) const {
    return folder_ + "/" + name;
  }
  std::string content(const std::string& sha256) const {
    return path(std::string(kFiles) + "/" + sha256);
  }
  bool is_made_here() const;
  bool is_there(const std::string& sha256, int64_t size) const;
  bool is_whole(const BackedFile& file) const;
  void take_up(const std::string& run);
  void write_store(Manifest& manifest, const std::string& store);
  // Puts the changes that the manifest names into run.db.
  void finish(const Manifest& manifest);
  // Removes what no backup names.
  void clear(const Manifest* manifest) const;

  const std::string folder_;
  std::unique_ptr<store::WriterLock> lock_;
  std::optional<Manifest> last_;
  std::set<std::string> held_;  // SHA-256 of contents that are whole
};

}  // namespace selfalign::backup
