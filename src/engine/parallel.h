// SPDX-License-Identifier: Apache-2.0
// Loops over a few threads, many times a millisecond. Not OpenMP's: there
// every thread must arrive at the end of every loop, so that on a machine that
// also does other things each of some 240 loops of a pass waits for a thread
// to be scheduled. Here a loop ends when its tasks are done, and a helper that
// did not wake in time has missed nothing.
#pragma once

#include <cstdint>
#include <functional>

namespace selfalign::engine {

// Calls work(0) .. work(count - 1), in any order, on the calling thread and
// helpers (as many threads as ATen is set to use); whoever is idle takes the
// next. The first exception is rethrown at the end. Inside another
// parallel_for, or while another thread is in one with the same helpers, it is
// a plain loop. count is below 2^20.
void parallel_for(int64_t count, const std::function<void(int64_t)>& work);

// Threads that parallel_for uses at most, and which of them calls (0 is the
// one that called parallel_for).
int num_threads();
int this_thread();

// While it lives, this thread computes with so many, ATen's loops too, and
// parallel_for called from it has helpers of its own, which are bound to the
// processors that this thread is bound to. Others have what they had.
class OwnThreads {
 public:
  explicit OwnThreads(int count);
  ~OwnThreads();
  OwnThreads(const OwnThreads&) = delete;
  OwnThreads& operator=(const OwnThreads&) = delete;
};

}  // namespace selfalign::engine
