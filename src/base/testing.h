// SPDX-License-Identifier: Apache-2.0
// What a call throws; for tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"

namespace selfalign {

// A failure of the test where `fn` throws no Error.
inline Error error_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an Error";
  return {ErrorKind::kFailed, "none"};
}

// The text of the Error, or "no error".
inline std::string message_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The same of an Error of that kind.
inline std::string refusal_of(const std::function<void()>& fn,
                              ErrorKind kind = ErrorKind::kInput) {
  return message_of([&] {
    try {
      fn();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      throw;
    }
  });
}

inline ErrorKind kind_of(const std::function<void()>& fn) {
  return error_of(fn).kind();
}

}  // namespace selfalign
