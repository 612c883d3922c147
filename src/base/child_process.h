// SPDX-License-Identifier: Apache-2.0
// A command line of a person's, run by /bin/sh beside this process.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

namespace selfalign {

class ChildProcess {
 public:
  // What keeps a lock when this process is gone.
  enum class Holds {
    kAll,      // the command, and any process that it leaves
    kCommand,  // the command alone: what it starts, as servers, may stay
  };

  // Starts `command` in `folder`, in a process group of its own, so that a
  // terminal's Ctrl-C reaches it by stop() alone. It reads nothing; what it
  // writes is added to the file `log`. The file `lock` is locked while what
  // `holds` names is there: Error kUsage where another command still is.
  // kResources where it cannot be started.
  ChildProcess(const std::string& command, const std::string& folder,
               const std::string& log, const std::string& lock,
               Holds holds = Holds::kAll);
  // Starts `command` in this process's folder, in a session of its own, without
  // a terminal, so that it asks nobody and waits for nobody. It reads what
  // comes from the descriptor `input`, which stays the caller's; what it writes
  // goes to stderr. Error kResources where it cannot be started.
  ChildProcess(const std::string& command, int input);
  // Ends what still runs, by SIGKILL.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Its exit status, or 128 and the number of the signal that ended it; none
  // while it runs.
  std::optional<int> status();
  // Asks the whole group to end: SIGTERM.
  void stop() const;
  // Ends the whole group at once, by SIGKILL, and waits until it has.
  void kill();

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// Waits until a command has ended, and calls `look` from time to time. An
// interrupt asks the command to end, which has two minutes for what it must
// save, and is then thrown with the hint `goes_on`.
// \return its exit status
int status_at_end(ChildProcess& child, const char* goes_on,
                  const std::function<void()>& look);

// The end of what a command wrote to its log, in one line: what a person looks
// at first; "nothing" where that is all.
std::string last_words(const std::string& log);

}  // namespace selfalign
