// SPDX-License-Identifier: Apache-2.0
#include "store/writer_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/own_file.h"

namespace selfalign::store {
namespace {

std::string holder_of(int fd) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  std::string pid;
  for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) {
    pid += text[i];
  }
  return pid.empty() ? "another process" : "process " + pid;
}

// A reader that asks whether there is a writer holds the lock for an instant:
// that is waited for.
bool lock_soon(int fd) {
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

WriterLock::WriterLock(const std::string& path) {
  fd_ = open_own_file(path, O_RDWR);
  if (!lock_soon(fd_)) {
    const std::string holder = holder_of(fd_);
    ::close(fd_);
    throw Error(ErrorKind::kFailed,
                str(path, ": expected no other writer, found ", holder,
                    "; wait for it or stop it"));
  }
  // The process id is for the message above only; without it (a full disk)
  // the lock holds all the same.
  const std::string pid = str(getpid(), "\n");
  if (ftruncate(fd_, 0) == 0) {
    [[maybe_unused]] const ssize_t n = pwrite(fd_, pid.data(), pid.size(), 0);
  }
}

WriterLock::~WriterLock() { ::close(fd_); }

std::optional<std::string> lock_holder(const std::string& path) {
  const int fd =
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  std::optional<std::string> holder;
  if (flock(fd, LOCK_SH | LOCK_NB) != 0) holder = holder_of(fd);
  ::close(fd);
  return holder;
}

}  // namespace selfalign::store
