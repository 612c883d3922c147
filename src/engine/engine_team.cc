// SPDX-License-Identifier: Apache-2.0
#include "engine/engine_team.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/engine_thread.h"

// How it works. Each engine generates on a thread of its own. Whenever it has
// something to ask or to give (a request, a completion, a piece of text, a
// step), its thread hands the call to the one that called generate(), and waits
// for the answer: callers see one generator. What the caller asks of engines
// meanwhile (scores, from within such a call) is done by those that wait.

namespace selfalign::engine {
namespace {

using generate::Completion;
using generate::Generator;
using generate::Request;
using generate::ScoreRequest;
using generate::Scores;
using When = EngineThread::When;

struct Lane {
  Lane(TeamLock& team, const EnginePlace& place) : thread(team, place) {}
  ~Lane() {
    if (engine) thread.do_now([this] { engine.reset(); });
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  size_t load() const { return queue.size() + num_in_flight; }

  std::unique_ptr<Generator> engine;
  // From the caller's thread alone.
  std::deque<Request> queue;  // that the engine will be given
  size_t num_in_flight = 0;
  int num_scorings = 0;
  bool is_at_work = false;
  EngineThread thread;
};

// Requests that engines score as they are free.
class SharedScores {
 public:
  SharedScores(TeamLock& team, const std::vector<ScoreRequest>& requests,
               size_t num_engines)
      : team_(team),
        requests_(requests),
        all_(requests.size()),
        part_(std::clamp<size_t>(requests.size() / (8 * num_engines), 1, 32)),
        num_(requests.size()) {}

  // From any thread, also when all is long over.
  void work(Generator& engine) {
    while (const auto part = take()) {
      std::exception_ptr error;
      try {
        for (size_t i = part->first; i < part->second; ++i) {
          all_[i] = std::move(engine.score({requests_[i]}).at(0));
        }
      } catch (...) {
        error = std::current_exception();
      }
      end(part->first, error);
    }
  }

  // The scores, or the error of the first request that has one of those done.
  std::vector<Scores> wait() {
    std::unique_lock lock(team_.mutex);
    team_.changed.wait(lock, [this] { return next_ == num_ && at_work_ == 0; });
    if (error_) std::rethrow_exception(error_);
    return std::move(all_);
  }

 private:
  std::optional<std::pair<size_t, size_t>> take() {
    const std::lock_guard lock(team_.mutex);
    if (next_ == num_) return std::nullopt;
    const size_t begin = next_;
    next_ = std::min(num_, begin + part_);
    ++at_work_;
    return std::pair(begin, next_);
  }
  void end(size_t begin, const std::exception_ptr& error) {
    const std::lock_guard lock(team_.mutex);
    if (error && (!error_ || begin < error_at_)) {
      error_ = error;
      error_at_ = begin;
    }
    if (error) next_ = num_;
    if (--at_work_ == 0) team_.changed.notify_all();
  }

  TeamLock& team_;
  const std::vector<ScoreRequest>& requests_;  // not read once next_ is num_
  std::vector<Scores> all_;
  const size_t part_;  // of requests side by side, which may begin alike
  const size_t num_;
  size_t next_ = 0;
  int at_work_ = 0;
  std::exception_ptr error_;
  size_t error_at_ = 0;
};

// A score in parts, all by one engine.
class LaneScoring final : public generate::Scoring {
 public:
  LaneScoring(Lane& lane, ScoreRequest request) : lane_(lane) {
    lane_.thread.do_now(
        [&] { inner_ = lane_.engine->begin_score(std::move(request)); });
    ++lane_.num_scorings;
  }
  ~LaneScoring() override {
    --lane_.num_scorings;
    lane_.thread.do_now([this] { inner_.reset(); });
  }
  LaneScoring(const LaneScoring&) = delete;
  LaneScoring& operator=(const LaneScoring&) = delete;

  bool advance() override {
    bool is_done = false;
    lane_.thread.do_now([&] { is_done = inner_->advance(); });
    if (is_done) scores = std::move(inner_->scores);
    return is_done;
  }

 private:
  Lane& lane_;
  std::unique_ptr<generate::Scoring> inner_;
};

class EngineTeam final : public Generator {
 public:
  EngineTeam(const std::vector<EnginePlace>& places, const MakeEngine& make) {
    SELFALIGN_CHECK(!places.empty());
    for (const EnginePlace& place : places) {
      lanes_.push_back(std::make_unique<Lane>(team_, place));
    }
    std::vector<std::shared_ptr<Errand>> made;
    for (size_t i = 0; i < lanes_.size(); ++i) {
      made.push_back(errand_of(
          [&make, i, lane = lanes_[i].get()] { lane->engine = make(i); }));
      lanes_[i]->thread.tell(made[i], When::kAnyStep);
    }
    for (const auto& errand : made) errand->wait(team_);
    for (const auto& errand : made) errand->rethrow();
    for (const auto& lane : lanes_) {
      SELFALIGN_CHECK(lane->engine->fingerprint() == fingerprint(),
                      "engines that are not alike");
    }
  }

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    next_ = &next;
    done_ = &done;
    desk_.begin();
    std::optional<Request> first = next_for(*lanes_[0]);
    if (!first) return;
    lanes_[0]->queue.push_back(*std::move(first));
    start_if_needed(*lanes_[0]);
    while (num_at_work_ > 0) desk_.serve();
    for (const auto& lane : lanes_) {
      lane->queue.clear();
      lane->num_in_flight = 0;
    }
    if (desk_.error()) std::rethrow_exception(desk_.error());
  }

  std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) override {
    const auto shared =
        std::make_shared<SharedScores>(team_, requests, lanes_.size());
    for (const auto& lane : lanes_) {
      lane->thread.tell(errand_of([shared, engine = lane->engine.get()] {
                          shared->work(*engine);
                        }),
                        When::kFree);
    }
    return shared->wait();
  }

  std::unique_ptr<generate::Scoring> begin_score(
      ScoreRequest request) override {
    return std::make_unique<LaneScoring>(idlest(), std::move(request));
  }

  void when_stepped(std::function<void()> callback) override {
    stepped_ = std::move(callback);
    for (const auto& lane : lanes_) {
      lane->thread.do_now([this, at = lane.get()] {
        at->engine->when_stepped(stepped_ ? std::function<void()>([this, at] {
          desk_.hand_over(at->thread, false, stepped_);
        })
                                          : nullptr);
      });
    }
  }

  void check(const Request& request) const override {
    lanes_[0]->engine->check(request);
  }
  std::string fingerprint() const override {
    return lanes_[0]->engine->fingerprint();
  }
  std::vector<int> token_ids(const std::string& text) const override {
    return lanes_[0]->engine->token_ids(text);
  }
  int count_tokens(const std::string& text) const override {
    return lanes_[0]->engine->count_tokens(text);
  }

 private:
  Lane& idlest() {
    return **std::min_element(lanes_.begin(), lanes_.end(),
                              [](const auto& a, const auto& b) {
                                return a->num_scorings < b->num_scorings;
                              });
  }

  // --- From the thread that called generate(). ---

  // The next request for a lane that asks, if any. Those before it go to lanes
  // that have fewer.
  std::optional<Request> next_for(Lane& asking) {
    while (std::optional<Request> request = (*next_)()) {
      Lane* least = &asking;
      for (const auto& lane : lanes_) {
        if (lane->load() < least->load()) least = lane.get();
      }
      if (request->on_text) {
        request->on_text = [this, least, ask = std::move(request->on_text)](
                               std::string_view text) {
          bool goes_on = false;
          desk_.hand_over(least->thread, false, [&] { goes_on = ask(text); });
          return goes_on;
        };
      }
      if (least == &asking) return request;
      least->queue.push_back(*std::move(request));
      start_if_needed(*least);
    }
    return std::nullopt;
  }

  std::optional<Request> take(Lane& asking) {
    std::optional<Request> request;
    if (asking.queue.empty()) {
      request = next_for(asking);
    } else {
      request = std::move(asking.queue.front());
      asking.queue.pop_front();
    }
    if (request) ++asking.num_in_flight;
    return request;
  }

  void start_if_needed(Lane& lane) {
    if (lane.queue.empty() || lane.is_at_work) return;
    lane.is_at_work = true;
    ++num_at_work_;
    lane.thread.tell(errand_of([this, &lane] { generate_at(lane); }),
                     When::kFree);
  }

  void end(Lane& lane, const std::exception_ptr& error) {
    lane.is_at_work = false;
    --num_at_work_;
    if (error) desk_.fail(error);
    // It may have been given something while it ended.
    if (!desk_.error() && !interrupted()) start_if_needed(lane);
  }

  // --- From the threads of the engines. ---

  void generate_at(Lane& lane) {
    std::exception_ptr error;
    try {
      lane.engine->generate(
          [&] {
            std::optional<Request> request;
            desk_.hand_over(lane.thread, true, [&] { request = take(lane); });
            return request;
          },
          [&](Completion completion) {
            desk_.hand_over(lane.thread, true, [&] {
              --lane.num_in_flight;
              (*done_)(std::move(completion));
            });
          });
    } catch (const CallerDesk::Stopped&) {
    } catch (...) {
      error = std::current_exception();
    }
    desk_.post([this, &lane, error] { end(lane, error); });
  }

  TeamLock team_;
  CallerDesk desk_{team_};
  std::function<void()> stepped_;
  // Of generate().
  const generate::NextRequest* next_ = nullptr;
  const generate::OnCompletion* done_ = nullptr;
  int num_at_work_ = 0;                       // lanes
  std::vector<std::unique_ptr<Lane>> lanes_;  // ends first
};

}  // namespace

std::unique_ptr<Generator> make_engine_team(
    const std::vector<EnginePlace>& places, const MakeEngine& make) {
  return std::make_unique<EngineTeam>(places, make);
}

}  // namespace selfalign::engine
