// SPDX-License-Identifier: Apache-2.0
// Mapped files that were cut short, or whose disk fails: reading what is gone
// is no error that a call returns but SIGBUS, wherever that happens.
#pragma once

#include <cstddef>
#include <string>

namespace selfalign {

// While it lives, a SIGBUS within `size` bytes from `begin` writes `line` to
// stderr, whole and as it is, and ends the process with exit code 3 (kInput) as
// kill -9 would: what is stored is safe. Any other SIGBUS does what it did
// before. Any thread.
class BusGuard {
 public:
  BusGuard(const void* begin, size_t size, std::string line);
  ~BusGuard();
  BusGuard(const BusGuard&) = delete;
  BusGuard& operator=(const BusGuard&) = delete;

  bool holds(const void* address) const {
    const auto* at = static_cast<const char*>(address);
    return at >= begin_ && at < begin_ + size_;
  }
  const std::string& line() const { return line_; }

 private:
  const char* begin_;
  size_t size_;
  std::string line_;
};

}  // namespace selfalign
