// SPDX-License-Identifier: Apache-2.0
// Rows of a file that cannot be used: counted and said, and the others taken.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace selfalign {

class RowFaults {
 public:
  explicit RowFaults(std::string path) : path_(std::move(path)) {}

  // Calls `take` for the next row; an Error kInput of it is the row's fault.
  void take_row(const std::function<void()>& take);
  // The next row has this fault, which names its place.
  void add(const std::string& fault);

  // After the last row: the first fault as an Error kInput where no row could
  // be used; else a warning of how many could not, and why the first. Each is
  // said once, however often a file is read.
  void finish() const;

 private:
  std::string path_;
  std::string first_;
  int64_t num_rows_ = 0;
  int64_t num_faults_ = 0;
};

}  // namespace selfalign
