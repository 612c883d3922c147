// SPDX-License-Identifier: Apache-2.0
#include "base/child_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/own_file.h"
#include "base/shown.h"

extern char** environ;

namespace selfalign {
namespace {

// The number under which the child's processes inherit the lock.
constexpr int kLockDescriptor = 9;

[[noreturn]] void fail(const std::string& command, int problem) {
  throw Error(ErrorKind::kResources,
              str("cannot start the command ", command, ": ",
                  std::strerror(problem), "; run the same command again"));
}

// Closes a descriptor that is the parent's no more.
struct Closed {
  int fd;
  ~Closed() { ::close(fd); }
};

// Of what waitpid() says.
int status_of(int raw) {
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

// A shell that waits for the command, however that ends, holds the lock, and
// what it runs does not.
std::string without_lock(const std::string& command) {
  return str("trap : TERM\n(\n", command, "\n) ", kLockDescriptor,
             ">&-\nexit $?");
}

// How the child begins: which files it has, and no signal ignored or blocked.
class SpawnPlan {
 public:
  // `apart`: POSIX_SPAWN_SETPGROUP or POSIX_SPAWN_SETSID.
  explicit SpawnPlan(int apart) {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, static_cast<short>(POSIX_SPAWN_SETSIGDEF |
                                         POSIX_SPAWN_SETSIGMASK | apart));
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void work_in(const std::string& folder, int log, int lock) {
    ::posix_spawn_file_actions_addchdir_np(&files_, folder.c_str());
    ::posix_spawn_file_actions_addopen(&files_, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files_, log, 1);
    ::posix_spawn_file_actions_adddup2(&files_, log, 2);
    ::posix_spawn_file_actions_adddup2(&files_, lock, kLockDescriptor);
  }
  void read(int input) {
    ::posix_spawn_file_actions_adddup2(&files_, input, 0);
    ::posix_spawn_file_actions_adddup2(&files_, STDERR_FILENO, 1);
  }

  // 0, or the number of what went wrong.
  int spawn(const std::string& command, pid_t& pid) const {
    std::string text = command, shell = "sh", flag = "-c";
    char* const arguments[] = {shell.data(), flag.data(), text.data(), nullptr};
    return ::posix_spawn(&pid, "/bin/sh", &files_, &attributes_, arguments,
                         environ);
  }

 private:
  posix_spawn_file_actions_t files_ = {};
  posix_spawnattr_t attributes_ = {};
};

}  // namespace

ChildProcess::ChildProcess(const std::string& command,
                           const std::string& folder, const std::string& log,
                           const std::string& lock, Holds holds) {
  const Closed lock_file{open_own_file(lock, O_RDWR)};
  if (::flock(lock_file.fd, LOCK_EX | LOCK_NB) != 0) {
    throw Error(ErrorKind::kUsage,
                str(lock,
                    ": a command that was started before is still at "
                    "work here; wait until it has ended, or end it (fuser -v ",
                    lock, " tells which)"));
  }
  const Closed log_file{open_own_file(log, O_WRONLY | O_APPEND)};
  SpawnPlan plan(POSIX_SPAWN_SETPGROUP);
  plan.work_in(folder, log_file.fd, lock_file.fd);
  const int problem =
      plan.spawn(holds == Holds::kAll ? command : without_lock(command), pid_);
  if (problem != 0) fail(command, problem);
}

ChildProcess::ChildProcess(const std::string& command, int input) {
  SpawnPlan plan(POSIX_SPAWN_SETSID);
  plan.read(input);
  const int problem = plan.spawn(command, pid_);
  if (problem != 0) fail(command, problem);
}

ChildProcess::~ChildProcess() { kill(); }

void ChildProcess::kill() {
  if (status()) return;
  ::kill(-pid_, SIGKILL);
  int raw = 0;
  ::waitpid(pid_, &raw, 0);
  status_ = status_of(raw);
  // What it started is gone, too, a moment later.
  constexpr int kTimes = 200;
  for (int i = 0; i < kTimes && ::kill(-pid_, 0) == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::optional<int> ChildProcess::status() {
  int raw = 0;
  if (!status_ && ::waitpid(pid_, &raw, WNOHANG) == pid_) {
    status_ = status_of(raw);
  }
  return status_;
}

void ChildProcess::stop() const {
  if (!status_) ::kill(-pid_, SIGTERM);
}

int status_at_end(ChildProcess& child, const char* goes_on,
                  const std::function<void()>& look) {
  constexpr std::chrono::milliseconds kLook(200);
  constexpr std::chrono::seconds kGrace(120);
  std::optional<std::chrono::steady_clock::time_point> end;
  while (!child.status()) {
    std::this_thread::sleep_for(kLook);
    look();
    if (!end && interrupted()) {
      child.stop();
      end = std::chrono::steady_clock::now() + kGrace;
    }
    if (end && std::chrono::steady_clock::now() > *end) break;
  }
  look();
  if (end) stop_if_interrupted(goes_on);
  return *child.status();
}

std::string last_words(const std::string& log) {
  constexpr size_t kBytes = 600;
  if (!is_file(log)) return "nothing";
  const MappedFile map(log);
  std::string_view text = map.bytes();
  text = text.substr(text.size() - std::min(text.size(), kBytes));
  return text.empty() ? "nothing" : shown(std::string(text), kBytes);
}

}  // namespace selfalign
