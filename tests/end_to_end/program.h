// SPDX-License-Identifier: Apache-2.0
// The program under test as its users meet it: from a shell, and on a terminal.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace selfalign::tests {

struct Outcome {
  int code = -1;  // -1: killed by a signal
  std::string out;
  std::string err;

  std::vector<Json> lines() const;  // of `out`
};

// A line for bash, in which `selfalign` stands for the program, with `folder`
// as the folder it works in; there input and outputs are kept, too.
Outcome run_bash(const std::string& folder, const std::string& line,
                 const std::string& input = "");

// A folder that goes away with the object, in which the program works.
class ProgramFolder {
 public:
  const std::string& folder() const { return scratch_.path(); }
  std::string path(const std::string& name) const {
    return folder() + "/" + name;
  }
  // Prompts are looked for where the program works.
  void link_prompts() const;
  Outcome bash(const std::string& line, const std::string& input = "") const {
    return run_bash(folder(), line, input);
  }

 private:
  ScratchFolder scratch_;
};

// A line for bash as above on a terminal of its own, 80 by 24.
class Terminal {
 public:
  Terminal(const std::string& folder, const std::string& line);
  ~Terminal();  // hangs up
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Waits until all that was shown since the last press() holds `text`; false
  // if that does not come.
  bool shows(const std::string& text);
  // Waits until a program takes keys as they come, whole lines or not; false if
  // `text` is shown before.
  bool takes_keys_before(const std::string& text);
  void press(const std::string& keys);
  // Waits for the end of the program, as long as it shows something; its exit
  // code.
  int end();
  const std::string& screen() const { return screen_; }

 private:
  bool read_some();

  int terminal_ = -1;
  pid_t child_ = -1;
  std::string screen_;
};

}  // namespace selfalign::tests
