// SPDX-License-Identifier: Apache-2.0
// The files of a run beside its store, copied while the run goes on.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "backup/target.h"

namespace selfalign::backup {

class RunFiles {
 public:
  RunFiles(std::string run, Target& target)
      : run_(std::move(run)), target_(target) {}

  // Copies what is not copied yet, and looks again until nothing came, went or
  // was put in another's place since it was copied. Files that grew (logs,
  // metrics) are copied as far as they are in the last of these passes, so they
  // are never behind a checkpoint. Error kFailed where they never hold still.
  void update();

  std::vector<BackedFile> files() const;  // by path
  // SHA-256 of the file; "" where there is none.
  std::string sha256(const std::string& path) const;
  // Links, what else is no file, and what has a name that is not UTF-8: paths
  // in the run's folder that are not copied.
  const std::set<std::string>& left_out() const { return left_out_; }

 private:
  struct Seen {
    BackedFile file;
    int64_t mtime_ns = 0;
    uint64_t inode = 0;
  };

  void list(const std::string& folder, std::set<std::string>& paths);
  bool pass();
  bool take(const std::string& path);
  void keep(const SourceFile& source, Seen& seen);

  const std::string run_;
  Target& target_;
  std::map<std::string, Seen> seen_;  // by path in the run's folder
  std::set<std::string> left_out_;
};

}  // namespace selfalign::backup
