// SPDX-License-Identifier: Apache-2.0
#include "base/slices.h"

#include <utility>

#include "base/error.h"

namespace selfalign {
namespace {

thread_local std::function<void()> listener;

}  // namespace

SliceScope::SliceScope(std::function<void()> between) {
  SELFALIGN_CHECK(!listener);
  listener = std::move(between);
}

SliceScope::~SliceScope() { listener = nullptr; }

void end_slice() {
  if (listener) listener();
}

}  // namespace selfalign
