// SPDX-License-Identifier: Apache-2.0
// What a call throws; for tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>

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

inline ErrorKind kind_of(const std::function<void()>& fn) {
  return error_of(fn).kind();
}

}  // namespace selfalign
