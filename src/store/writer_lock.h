// SPDX-License-Identifier: Apache-2.0
// One writer per run: an advisory lock on a file in the run's folder. The
// kernel lets go of it when the process ends, however it ends, so a crash
// leaves nothing to clean up.
#pragma once

#include <optional>
#include <string>

namespace selfalign::store {

class WriterLock {
 public:
  // Error kFailed names the process that holds the lock; kResources when the
  // file cannot be made.
  explicit WriterLock(const std::string& path);
  ~WriterLock();
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  int fd_ = -1;
};

// "process 123" if one holds the lock on `path`, else none. Never waits and
// needs no right to write.
std::optional<std::string> lock_holder(const std::string& path);

}  // namespace selfalign::store
