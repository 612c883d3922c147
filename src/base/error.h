// SPDX-License-Identifier: Apache-2.0
// Errors of the four kinds the design names: CHECK for bugs, Error for what a
// person can fix. Outcomes of a row are values and never thrown.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace selfalign {

// Why the program stops; the value is its exit code.
enum class ErrorKind : int {
  kFailed = 1,        // anything else that went wrong
  kUsage = 2,         // command line or recipe
  kInput = 3,         // bad input data: model file, dataset, adapter
  kResources = 4,     // refused for lack of memory or disk
  kDamaged = 5,       // state on disk is damaged
  kInterrupted = 75,  // stopped on request; the same run can be resumed
};

// What a person can fix. The text says where and what happened ("cannot open X:
// no such file") or, of a value, what was expected and found, and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& text)
      : std::runtime_error(text), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// Concatenates what `<<` can print: str("row ", 3, ": empty").
template <typename... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// Prints the place and the text to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line,
                               const std::string& text);

}  // namespace selfalign

// A condition that only a bug can break: SELFALIGN_CHECK(i < n, "slot ", i).
#define SELFALIGN_CHECK(condition, ...)                                   \
  do {                                                                    \
    if (!(condition)) {                                                   \
      ::selfalign::check_failed(                                          \
          __FILE__, __LINE__,                                             \
          ::selfalign::str(#condition __VA_OPT__(, ": ", ) __VA_ARGS__)); \
    }                                                                     \
  } while (false)
