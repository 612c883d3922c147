// SPDX-License-Identifier: Apache-2.0
// Long work in slices, for a server that does some for each of many clients.
// The work says where a slice may end; whoever runs it says what happens there:
// give way to others, or throw to end it. Both are of one thread.
#pragma once

#include <cstddef>
#include <functional>

namespace selfalign {

// While it lives, end_slice() calls `between` on this thread. Not nested.
class SliceScope {
 public:
  explicit SliceScope(std::function<void()> between);
  ~SliceScope();
  SliceScope(const SliceScope&) = delete;
  SliceScope& operator=(const SliceScope&) = delete;
};

// A slice may end here. Throws what `between` throws; costs nothing where
// nobody listens, and else a call: not for the innermost loop.
void end_slice();

// For the innermost loop: end_slice() at every 1024th of its rounds.
class SliceCounter {
 public:
  void count() {
    if (++num_rounds_ % 1024 == 0) end_slice();
  }

 private:
  size_t num_rounds_ = 0;
};

}  // namespace selfalign
