// SPDX-License-Identifier: Apache-2.0
#include "base/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "base/last_act.h"

namespace selfalign {
namespace {

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGUSR1, SIGQUIT, SIGHUP};

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free);
// Told of the first signal, if not -1.
std::atomic<int> first_fd{-1};
static_assert(std::atomic<int>::is_always_lock_free);
std::atomic<bool> was_first_told{false};
bool tell_person = false;
std::atomic<const char*> stop_note{
    "Finishing the current step; press Ctrl-C again to stop now."};
static_assert(std::atomic<const char*>::is_always_lock_free);
std::atomic<void (*)()> last_act{nullptr};
static_assert(std::atomic<void (*)()>::is_always_lock_free);

// False if nobody waits to be told.
bool tell_first() {
  const int fd = first_fd.exchange(-1);
  if (fd < 0) return false;
  was_first_told = true;
  const int kept = errno;
  if (::write(fd, "", 1) < 0) errno = kept;
  return true;
}

void on_signal(int) {
  if (!stop_asked && tell_first()) return;
  if (stop_asked.exchange(true) || was_first_told) {
    run_last_act();
    ::_exit(static_cast<int>(ErrorKind::kInterrupted));
  }
  const char* const note = stop_note;
  if (!tell_person || *note == '\0') return;
  for (const char* const part : {"\n", note, "\n"}) {
    if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) return;
  }
}

// False where SIGHUP is ignored, as nohup has it: then it asks nothing.
bool asks_to_stop(int signal) {
  struct sigaction now {};
  ::sigaction(signal, nullptr, &now);
  return signal != SIGHUP || now.sa_handler != SIG_IGN;
}

}  // namespace

void install_interrupt_handlers() {
  tell_person = ::isatty(STDERR_FILENO) == 1;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  // No SA_RESTART: a read that waits for the person's next line must end.
  action.sa_flags = 0;
  for (const int signal : kStopSignals) {
    if (asks_to_stop(signal)) ::sigaction(signal, &action, nullptr);
  }
  // A file over the limit (ulimit -f) is then an error of the write, EFBIG,
  // that is told like a full disk; a reader that went away is EPIPE.
  ::signal(SIGXFSZ, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
}

void tell_first_signal(int fd) {
  first_fd = fd;
  if (fd < 0) return;
  install_interrupt_handlers();
  if (stop_asked.exchange(false)) tell_first();
}

void set_stop_note(const char* text) { stop_note = text; }

void set_last_act(void (*act)()) { last_act.store(act); }
void run_last_act() {
  if (void (*act)() = last_act.load()) act();
}

bool interrupted() { return stop_asked.load(std::memory_order_relaxed); }

void stop_if_interrupted(const char* resume_hint) {
  if (!interrupted()) return;
  throw Error(ErrorKind::kInterrupted,
              str("interrupted: all finished work is kept; ", resume_hint));
}

void set_interrupted(bool on) { stop_asked.store(on); }

}  // namespace selfalign
