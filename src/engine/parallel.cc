// SPDX-License-Identifier: Apache-2.0
#include "engine/parallel.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "model/aten.h"

namespace selfalign::engine {
namespace {

constexpr int kSpins = 2000;  // some 40 microseconds, then a helper sleeps
constexpr std::chrono::microseconds kNap{50};

thread_local int thread_index = 0;
thread_local bool inside = false;  // of a task

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The loop at work as one number, so that a helper that comes late cannot mix
// up two loops: 24 bits that count loops, 20 bits of tasks, 20 bits of tasks
// already taken. Taking a task is a compare-and-swap of the whole.
struct Ticket {
  static constexpr int kBits = 20;
  static constexpr uint64_t kMask = (uint64_t{1} << kBits) - 1;
  static uint64_t make(uint64_t loop, uint64_t count) {
    return loop << (2 * kBits) | count << kBits;
  }
  static uint64_t count(uint64_t ticket) { return ticket >> kBits & kMask; }
  static uint64_t taken(uint64_t ticket) { return ticket & kMask; }
};

class Pool {
 public:
  ~Pool() { stop_helpers(); }

  std::mutex& mutex() { return mutex_; }

  // The caller holds the mutex.
  void run(int64_t count, const std::function<void(int64_t)>& work,
           int threads) {
    if (helpers_.size() + 1 != static_cast<size_t>(threads)) {
      stop_helpers();
      start_helpers(threads - 1);
    }
    work_ = &work;
    finished_.store(0, std::memory_order_relaxed);
    ticket_.store(Ticket::make(++loop_, static_cast<uint64_t>(count)),
                  std::memory_order_release);
    wake_.fetch_add(1);
    wake_.notify_all();
    take_tasks();
    for (int spins = 0; finished_.load(std::memory_order_acquire) < count;) {
      if (++spins < 5 * kSpins) {
        pause();
      } else {  // longer than any task: the helper at work was put off
        std::this_thread::sleep_for(kNap);
      }
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void start_helpers(int count) {
    stopping_ = false;
    for (int i = 0; i < count; ++i) {
      helpers_.emplace_back([this, i] { help(i + 1); });
    }
  }

  void stop_helpers() {
    stopping_ = true;
    wake_.fetch_add(1);
    wake_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
    helpers_.clear();
  }

  void help(int index) {
    thread_index = index;
    while (true) {
      const int seen = wake_.load();
      if (stopping_) return;
      take_tasks();
      int spins = 0;
      while (wake_.load(std::memory_order_relaxed) == seen &&
             ++spins < kSpins) {
        pause();
      }
      wake_.wait(seen);
    }
  }

  // A task taken belongs to the loop at work: that loop cannot end, and so
  // work_ cannot change, before the task is counted as finished.
  void take_tasks() {
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while (Ticket::taken(ticket) < Ticket::count(ticket)) {
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1,
                                         std::memory_order_acq_rel)) {
        continue;
      }
      inside = true;
      try {
        (*work_)(static_cast<int64_t>(Ticket::taken(ticket)));
      } catch (...) {
        const std::lock_guard<std::mutex> lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
      }
      inside = false;
      finished_.fetch_add(1, std::memory_order_release);
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }

  std::mutex mutex_;  // held by the thread whose loop is at work
  std::vector<std::thread> helpers_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> wake_ = 0;  // changes when there is something to look at

  const std::function<void(int64_t)>* work_ = nullptr;
  uint64_t loop_ = 0;
  std::atomic<uint64_t> ticket_ = 0;
  std::atomic<int64_t> finished_ = 0;
  std::mutex error_mutex_;
  std::exception_ptr error_;
};

thread_local std::unique_ptr<Pool> own_pool;  // null: the one of all

Pool& pool_of_this_thread() {
  static Pool pool;
  return own_pool ? *own_pool : pool;
}

}  // namespace

void parallel_for(int64_t count, const std::function<void(int64_t)>& work) {
  Pool& pool = pool_of_this_thread();
  SELFALIGN_CHECK(count < int64_t{1} << Ticket::kBits, count, " tasks");
  const int threads = num_threads();
  if (count > 1 && threads > 1 && !inside) {
    const std::unique_lock<std::mutex> lock(pool.mutex(), std::try_to_lock);
    if (lock.owns_lock()) return pool.run(count, work, threads);
  }
  for (int64_t i = 0; i < count; ++i) work(i);
}

int num_threads() { return at::get_num_threads(); }
int this_thread() { return thread_index; }

// ATen's number is a thread's own, but those to come begin with the one set
// last, wherever that was; so what they had is set again behind it.
OwnThreads::OwnThreads(int count) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const int before = at::get_num_threads();
  at::set_num_threads(count);
  std::thread([before] {
    at::get_num_threads();
    at::set_num_threads(before);
  }).join();
  own_pool = std::make_unique<Pool>();
}

OwnThreads::~OwnThreads() { own_pool.reset(); }

}  // namespace selfalign::engine
