// SPDX-License-Identifier: Apache-2.0
// Turns of threads of which one works at a time, in the order in which they
// ask.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace selfalign::serve {

// Any thread. Waiting ends when it is the thread's turn.
class Turns {
 public:
  void take() {
    std::unique_lock<std::mutex> lock(mutex_);
    const uint64_t number = num_taken_++;
    ended_.wait(lock, [&] { return num_ended_ == number; });
  }
  void give() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++num_ended_;
    }
    ended_.notify_all();
  }
  bool is_awaited() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return num_taken_ > num_ended_ + 1;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  uint64_t num_taken_ = 0;
  uint64_t num_ended_ = 0;
};

// A turn, as long as it lives.
class Turn {
 public:
  explicit Turn(Turns& turns) : turns_(turns) { turns_.take(); }
  ~Turn() { turns_.give(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  // Lets others have theirs, if it was long enough.
  void pass() {
    constexpr std::chrono::milliseconds kSlice(10);
    const auto now = std::chrono::steady_clock::now();
    if (now - began_ < kSlice) return;
    if (turns_.is_awaited()) {
      turns_.give();
      turns_.take();
    }
    began_ = std::chrono::steady_clock::now();
  }

 private:
  Turns& turns_;
  std::chrono::steady_clock::time_point began_ =
      std::chrono::steady_clock::now();
};

}  // namespace selfalign::serve
