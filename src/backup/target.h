// SPDX-License-Identifier: Apache-2.0
// Where a backup goes. Contents are kept under their SHA-256, each once; only
// commit() makes a backup of them.
#pragma once

#include <cstdint>
#include <string>

#include "backup/manifest.h"
#include "backup/source_file.h"

namespace selfalign::backup {

// What was written since the target was opened.
struct Written {
  int64_t num_files = 0;   // contents
  int64_t num_blocks = 0;  // of 4,096 bytes, of run.db
  int64_t num_bytes = 0;   // in all
};

class Target {
 public:
  virtual ~Target() = default;

  // The file of the last backup there under that path, null where there is
  // none.
  virtual const BackedFile* last(const std::string& path) const = 0;
  virtual bool holds(const std::string& sha256, int64_t size) const = 0;
  // Keeps the content; false where it is no longer what `sha256` says. Error
  // kResources for a full disk, kFailed where a command takes no more.
  virtual bool add(const SourceFile& source, const std::string& sha256) = 0;
  // Where copies may lie until then; "": anywhere.
  virtual std::string scratch_parent() const { return ""; }
  // Keeps the store, a file that is not changed meanwhile, and makes it all a
  // backup: durable when it returns. Sets what the manifest says of the store.
  virtual void commit(Manifest& manifest, const std::string& store) = 0;

  const Written& written() const { return written_; }

 protected:
  Written written_;
};

}  // namespace selfalign::backup
