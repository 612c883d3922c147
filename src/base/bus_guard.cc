// SPDX-License-Identifier: Apache-2.0
#include "base/bus_guard.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/last_act.h"

namespace selfalign {
namespace {

// A lock that a signal handler may wait for: whoever holds it touches no
// guarded memory and so cannot be the thread that the handler runs in.
class SpinLock {
 public:
  void lock() {
    while (flag_.test_and_set(std::memory_order_acquire)) {
    }
  }
  void unlock() { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

SpinLock guards_lock;
// Never freed: files may be mapped until the process ends.
std::vector<const BusGuard*>& guards() {
  static auto* const all = new std::vector<const BusGuard*>;
  return *all;
}
struct sigaction action_before;

// Only what a handler may do.
void on_bus_error(int signal, siginfo_t* info, void*) {
  // A code above 0: the system found a fault. Others were sent by somebody.
  if (info->si_code > 0) {
    const std::lock_guard<SpinLock> lock(guards_lock);
    for (const BusGuard* guard : guards()) {
      if (!guard->holds(info->si_addr)) continue;
      run_last_act();
      const std::string& line = guard->line();
      for (size_t done = 0; done < line.size();) {
        const ssize_t n =
            ::write(STDERR_FILENO, line.data() + done, line.size() - done);
        if (n <= 0) break;
        done += static_cast<size_t>(n);
      }
      ::_exit(static_cast<int>(ErrorKind::kInput));
    }
  }
  ::sigaction(SIGBUS, &action_before, nullptr);
  // A fault comes again at once, by the same instruction.
  if (info->si_code <= 0) ::raise(signal);
}

void install_handler() {
  guards();  // made before a handler could ask for it
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, &action_before);
}

}  // namespace

BusGuard::BusGuard(const void* begin, size_t size, std::string line)
    : begin_(static_cast<const char*>(begin)),
      size_(size),
      line_(std::move(line)) {
  static std::once_flag installed;
  std::call_once(installed, install_handler);
  const std::lock_guard<SpinLock> lock(guards_lock);
  guards().push_back(this);
}

BusGuard::~BusGuard() {
  const std::lock_guard<SpinLock> lock(guards_lock);
  guards().erase(std::find(guards().begin(), guards().end(), this));
}

}  // namespace selfalign
