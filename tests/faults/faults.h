// SPDX-License-Identifier: Apache-2.0
// Programs whose disk fails, or which are killed, at the Nth call that changes
// or reads a file (fault_shim.c).
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "end_to_end/runs_folder.h"

namespace selfalign::tests {

// How a program ended.
struct Ended {
  int code = -1;
  int signal = 0;
  std::string out;
  std::string err;
};

// See fault_shim.c; at = 0 counts the calls alone.
struct Fault {
  std::string kind;
  int64_t at = 0;
};

// Calls from 1 to `num_calls` at which to fail: 40, drawn anew each time from a
// seed that is printed and that SELFALIGN_FAULT_SEED sets; all of them with
// SELFALIGN_FULL_TESTS=1.
std::vector<int64_t> fault_points(int64_t num_calls);

// A folder `disk` whose calls count, beside what the programs say.
class Faults : public RunsFolder {
 protected:
  Faults();

  std::string disk(const std::string& name) const {
    return path("disk/" + name);
  }
  // Runs a line for sh that begins with `exec`. With `until`, the program is
  // sent SIGTERM as soon as its output holds that.
  Ended run(const std::string& line, const std::optional<Fault>& fault = {},
            const std::string& until = "") const;
  // Of the last program that came to its end under the shim.
  int64_t num_calls() const;
};

// What every program does under a fault: it is killed where that was the fault;
// else it ends by itself, without an error after a short write, and with one
// that tells a person what happened after the others, or none if it can do
// without that call.
void check_end_under(const Fault& fault, const Ended& ended);

}  // namespace selfalign::tests
