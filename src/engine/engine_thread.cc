// SPDX-License-Identifier: Apache-2.0
#include "engine/engine_thread.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine/packed_cache.h"
#include "engine/parallel.h"

namespace selfalign::engine {
namespace {

// Threads that this one starts are bound as it is.
void bind_to(const std::vector<int>& processors) {
  if (processors.empty()) return;
  const int most = *std::max_element(processors.begin(), processors.end()) + 1;
  cpu_set_t* set = CPU_ALLOC(most);
  if (set == nullptr) return;
  const size_t size = CPU_ALLOC_SIZE(most);
  CPU_ZERO_S(size, set);
  for (const int id : processors) CPU_SET_S(id, size, set);
  if (sched_setaffinity(0, size, set) != 0) {
    log_warning(
        "the system does not let threads be bound to the processors of a NUMA "
        "node; engines may use each other's");
  }
  CPU_FREE(set);
}

}  // namespace

void Errand::run(TeamLock& team) {
  try {
    work();
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(team.mutex);
  is_done = true;
  team.changed.notify_all();
}

void Errand::wait(TeamLock& team) const {
  std::unique_lock lock(team.mutex);
  team.changed.wait(lock, [this] { return is_done; });
}

EngineThread::EngineThread(TeamLock& team, const EnginePlace& place)
    : team_(team), thread_([this, place] { work(place); }) {}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(team_.mutex);
    is_ending_ = true;
    team_.changed.notify_all();
  }
  thread_.join();
}

void EngineThread::tell(std::shared_ptr<Errand> errand, When when) {
  const std::lock_guard lock(team_.mutex);
  told_.push_back({std::move(errand), when});
  team_.changed.notify_all();
}

void EngineThread::do_now(std::function<void()> work) {
  const auto errand = errand_of(std::move(work));
  tell(errand, When::kAnyStep);
  errand->wait(team_);
  errand->rethrow();
}

void EngineThread::work(const EnginePlace& place) {
  bind_to(place.processors);
  const OwnThreads threads(place.num_threads);
  const PackingNode node(place.node);
  std::unique_lock lock(team_.mutex);
  wait(
      lock, [] { return true; }, [this] { return is_ending_; });
}

void EngineThread::wait(std::unique_lock<std::mutex>& lock,
                        const std::function<bool()>& is_free,
                        const std::function<bool()>& is_over) {
  while (true) {
    if (const auto errand = next(is_free())) {
      lock.unlock();
      errand->run(team_);
      lock.lock();
    } else if (is_over()) {
      return;
    } else {
      team_.changed.wait(lock);
    }
  }
}

std::shared_ptr<Errand> EngineThread::next(bool is_free) {
  const auto found =
      std::find_if(told_.begin(), told_.end(), [is_free](const Told& one) {
        return is_free || one.when == When::kAnyStep;
      });
  if (found == told_.end()) return nullptr;
  auto errand = std::move(found->errand);
  told_.erase(found);
  return errand;
}

void CallerDesk::hand_over(EngineThread& from, bool is_free,
                           const std::function<void()>& work) {
  const auto errand = errand_of([&] {
    if (error_) throw Stopped();
    try {
      work();
    } catch (...) {
      fail(std::current_exception());
      throw;
    }
  });
  {
    std::unique_lock lock(team_.mutex);
    calls_.push_back({&from, errand});
    team_.changed.notify_all();
    from.wait(
        lock, [&] { return is_free || current_ == &from; },
        [&] { return errand->is_done; });
  }
  errand->rethrow();
}

void CallerDesk::post(std::function<void()> work) {
  const std::lock_guard lock(team_.mutex);
  calls_.push_back({nullptr, errand_of(std::move(work))});
  team_.changed.notify_all();
}

void CallerDesk::serve() {
  Call call = {};
  {
    std::unique_lock lock(team_.mutex);
    team_.changed.wait(lock, [this] { return !calls_.empty(); });
    call = std::move(calls_.front());
    calls_.pop_front();
    current_ = call.from;
    team_.changed.notify_all();  // it may do what it could not before
  }
  call.errand->run(team_);
  const std::lock_guard lock(team_.mutex);
  current_ = nullptr;
}

void CallerDesk::fail(const std::exception_ptr& error) {
  if (!error_) error_ = error;
}

}  // namespace selfalign::engine
