// SPDX-License-Identifier: Apache-2.0
// The threads of a team of engines, and how they and the team's caller have
// each other do things. Not for others than engine_team.cc.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/engine_place.h"

namespace selfalign::engine {

// What the threads of a team share.
struct TeamLock {
  std::mutex mutex;
  std::condition_variable changed;  // of whatever the mutex guards
};

// Something done on another thread, for whose end one waits.
struct Errand {
  std::function<void()> work;
  bool is_done = false;
  std::exception_ptr error = {};

  // Does it, without the lock; then wakes who waits.
  void run(TeamLock& team);
  // Waits for the end, on a thread that has nothing to do meanwhile.
  void wait(TeamLock& team) const;
  void rethrow() const {
    if (error) std::rethrow_exception(error);
  }
};
inline std::shared_ptr<Errand> errand_of(std::function<void()> work) {
  return std::make_shared<Errand>(Errand{std::move(work)});
}

// Does what it is told, also while it waits for the caller.
class EngineThread {
 public:
  // When it may do an errand in the middle of a generation: where the engine
  // has a slot free, or at whatever step.
  enum class When { kFree, kAnyStep };

  EngineThread(TeamLock& team, const EnginePlace& place);
  ~EngineThread();  // after what it was told
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  // From other threads; `errand` is done in time.
  void tell(std::shared_ptr<Errand> errand, When when);
  // The same, waiting for its end; rethrows what it threw.
  void do_now(std::function<void()> work);

  // From this thread, under the lock: does what it is told until `is_over`;
  // what is for a free slot only while `is_free`.
  void wait(std::unique_lock<std::mutex>& lock,
            const std::function<bool()>& is_free,
            const std::function<bool()>& is_over);

 private:
  struct Told {
    std::shared_ptr<Errand> errand;
    When when;
  };
  void work(const EnginePlace& place);
  std::shared_ptr<Errand> next(bool is_free);

  TeamLock& team_;
  std::deque<Told> told_;
  bool is_ending_ = false;
  std::thread thread_;
};

// What engines' threads want of the one that called generate().
class CallerDesk {
 public:
  // Ends the work of an engine after that of another has failed.
  struct Stopped {};

  explicit CallerDesk(TeamLock& team) : team_(team) {}

  // From the thread `from`: has the caller do `work` and waits until it has.
  // What that throws is thrown here, too, so that the engine ends its work as
  // it would have done alone. is_free: the engine has a slot free.
  void hand_over(EngineThread& from, bool is_free,
                 const std::function<void()>& work);
  // The same without waiting; `work` throws nothing.
  void post(std::function<void()> work);

  // From the caller: does the next of all that, waiting for it.
  void serve();
  // The first of the errors that end the work of all; null: none.
  void fail(const std::exception_ptr& error);
  const std::exception_ptr& error() const { return error_; }
  void begin() { error_ = nullptr; }

 private:
  struct Call {
    const EngineThread* from;
    std::shared_ptr<Errand> errand;
  };

  TeamLock& team_;
  std::exception_ptr error_;  // of the caller alone
  // Under the lock.
  std::deque<Call> calls_;
  const EngineThread* current_ = nullptr;  // whose call is served
};

}  // namespace selfalign::engine
