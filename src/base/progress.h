// SPDX-License-Identifier: Apache-2.0
// Progress of one piece of work: rate and time to go. On a terminal one line
// that is rewritten, elsewhere a plain line every `interval_s`, with JSON
// logging an event of the same figures.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace selfalign {

// False: no progress is printed anywhere (--quiet). The default is true.
void set_progress_shown(bool on);

// "3h05m", "4m10s", "12s"; "0s" for less.
std::string time_text(double seconds);
// "1.25" under 10, else "37".
std::string rate_text(double rate);

class Progress {
 public:
  // `total` 0 means unknown. `unit` is plural: "rows", "tokens", "steps".
  Progress(std::string title, uint64_t total, std::string unit);
  ~Progress();  // ends the line

  // Sets what is done; prints when it is time to. `note` is appended.
  void update(uint64_t done, const std::string& note = "");
  // What was done before now. With the seconds of work that it took it counts
  // in the rate and in the time; where they are not known (0) it counts in
  // neither.
  void set_start(uint64_t done, double seconds = 0.0);

 private:
  void print(bool last);

  std::string title_;
  uint64_t total_;
  std::string unit_;
  uint64_t start_ = 0;
  double start_s_ = 0.0;
  uint64_t done_ = 0;
  std::string note_;
  bool printed_ = false;
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point last_print_;
};

}  // namespace selfalign
