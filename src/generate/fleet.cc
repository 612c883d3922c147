// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <future>
#include <map>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/profile.h"
#include "generate/fleet_servers.h"
#include "generate/remote_server.h"

namespace selfalign::generate {
namespace {

// Requests of scores in a part: so many that a server batches them, and that
// all servers have some.
constexpr size_t kMinScoresInPart = 16;
constexpr size_t kMaxScoresInPart = 256;
constexpr int kMaxTries = 3;  // of one

// Of a fingerprint: " as " and the adapter, "" without one.
std::string as_adapter(const std::string& fingerprint) {
  const size_t at = fingerprint.find(kAsAdapter);
  return at == std::string::npos ? "" : fingerprint.substr(at);
}

// Requests of scores, in parts that servers take as they have done one.
class FleetScores {
 public:
  FleetScores(const std::vector<ScoreRequest>& requests, size_t num_servers)
      : requests_(requests),
        all_(requests.size()),
        num_tries_(requests.size()) {
    const size_t share = requests.size() / std::max<size_t>(1, num_servers) + 1;
    const size_t in_part =
        std::clamp(share, kMinScoresInPart, kMaxScoresInPart);
    for (size_t i = 0; i < requests.size(); ++i) {
      if (i % in_part == 0) parts_.emplace_back();
      parts_.back().push_back(i);
    }
  }

  // Until no part is left, or the server fails: others may do it.
  void work(FleetServers& servers, const std::shared_ptr<Generator>& at) {
    while (const std::optional<Part> part = next(at)) {
      try {
        if (!put(*part, at->score(requests_of(*part)), at)) return;
        servers.gave_scores(at);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kInterrupted) throw;
        {
          const std::lock_guard lock(mutex_);
          parts_.push_back(*part);
          error_ = std::current_exception();
          begun_.erase(at);
        }
        servers.fail(at, error.what());
        return;
      }
    }
  }

  bool is_done() {
    const std::lock_guard lock(mutex_);
    return parts_.empty();
  }
  // Those that are at a part for longer than eight times what one took, and
  // than `stall_s`, while others of `num_open` servers have ended theirs, or
  // have none to do.
  std::vector<std::shared_ptr<Generator>> stalled(double stall_s,
                                                  size_t num_open) {
    const std::lock_guard lock(mutex_);
    const bool any_idle = begun_.size() < num_open;
    std::vector<std::shared_ptr<Generator>> all;
    for (const auto& [at, begin] : begun_) {
      const std::chrono::duration<double> past = Clock::now() - begin;
      if ((any_idle || last_end_ > begin) &&
          past.count() > std::max(stall_s, 8 * longest_s_)) {
        all.push_back(at);
      }
    }
    return all;
  }
  // What none of the servers can do, in place of what some cannot now.
  void throw_if_none_can() {
    if (!any_done_ && error_) std::rethrow_exception(error_);
  }
  std::vector<Scores> take() { return std::move(all_); }

 private:
  using Part = std::vector<size_t>;  // places in requests_
  using Clock = std::chrono::steady_clock;

  std::optional<Part> next(const std::shared_ptr<Generator>& at) {
    const std::lock_guard lock(mutex_);
    begun_.erase(at);
    if (parts_.empty() || interrupted()) return std::nullopt;
    begun_[at] = Clock::now();
    Part part = std::move(parts_.front());
    parts_.pop_front();
    return part;
  }

  std::vector<ScoreRequest> requests_of(const Part& part) const {
    std::vector<ScoreRequest> requests;
    requests.reserve(part.size());
    for (const size_t i : part) requests.push_back(requests_[i]);
    return requests;
  }

  // False where the server gave some no answer: those are for another.
  bool put(const Part& part, std::vector<Scores> scores,
           const std::shared_ptr<Generator>& at) {
    const std::lock_guard lock(mutex_);
    last_end_ = Clock::now();
    const std::chrono::duration<double> took = last_end_ - begun_[at];
    longest_s_ = std::max(longest_s_, took.count());
    begun_.erase(at);
    Part lost;
    for (size_t j = 0; j < part.size(); ++j) {
      const auto& all = scores[j].continuations;
      const bool is_lost =
          std::any_of(all.begin(), all.end(),
                      [](const auto& one) { return is_given_up(one.finish); });
      if (is_lost && ++num_tries_[part[j]] < kMaxTries) {
        lost.push_back(part[j]);
      } else {
        all_[part[j]] = std::move(scores[j]);
      }
    }
    any_done_ = any_done_ || lost.size() < part.size();
    if (lost.empty()) return true;
    parts_.push_back(std::move(lost));
    return false;
  }

  const std::vector<ScoreRequest>& requests_;
  std::vector<Scores> all_;
  std::mutex mutex_;
  std::vector<int> num_tries_;
  std::deque<Part> parts_;
  bool any_done_ = false;
  std::exception_ptr error_;
  std::map<std::shared_ptr<Generator>, Clock::time_point> begun_;
  Clock::time_point last_end_;  // of a part
  double longest_s_ = 0;        // that one took
};

class Fleet final : public Generator {
 public:
  explicit Fleet(const FleetOptions& options)
      : stall_s_(options.stall_s), servers_(options) {}

  void generate(const NextRequest& next, const OnCompletion& done) override {
    const struct Leaving {
      ~Leaving() { servers.drop_all(); }
      FleetServers& servers;
    } leaving{servers_};
    servers_.begin();
    ProfileWindow window("fleet");
    while (!interrupted()) {
      window.turn();
      const bool has_more = fill(next);
      if (!has_more && !servers_.has_rows()) return;
      for (FleetServers::Ended& one : ended()) {
        const Request& request = one.row->request;
        if (request.on_text) request.on_text(one.completion.text);
        done(std::move(one.completion));
      }
      drop_unwanted(done);
      servers_.look_after(servers_.has_rows());
    }
  }

  std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) override {
    servers_.begin();
    FleetScores scores(requests, servers_.scorers().size());
    while (!interrupted()) {
      std::vector<std::future<void>> workers;
      for (const auto& generator : servers_.scorers()) {
        workers.push_back(std::async(std::launch::async, [&, generator] {
          scores.work(servers_, generator);
        }));
      }
      for (auto& worker : workers) wait_for(worker, scores);
      if (scores.is_done()) break;
      servers_.look_after(true);
      if (!servers_.open_generators().empty()) continue;  // others
      scores.throw_if_none_can();
      servers_.wait();
    }
    stop_if_interrupted("the same command goes on");
    return scores.take();
  }

  void check(const Request& request) const override {
    servers_.any()->check(request);
  }

  // Of the servers that are open: the name that they have in common, if any.
  std::string fingerprint() const override {
    std::string name = servers_.any()->fingerprint();
    for (const auto& generator : servers_.open_generators()) {
      const std::string one = generator->fingerprint();
      if (name != one) return "remote fleet" + as_adapter(name);
    }
    return name;
  }

  int count_tokens(const std::string& text) const override {
    return servers_.any()->count_tokens(text);
  }
  std::vector<int> token_ids(const std::string& text) const override {
    return servers_.any()->token_ids(text);
  }
  int count_part(const Completion& whole,
                 const std::string& part) const override {
    return servers_.any()->count_part(whole, part);
  }
  bool chats_only() const override { return servers_.any()->chats_only(); }
  bool scores_together() const override { return true; }

 private:
  void wait_for(std::future<void>& worker, FleetScores& scores) {
    constexpr std::chrono::milliseconds kLook(100);
    while (worker.wait_for(kLook) != std::future_status::ready) {
      servers_.look_after(true);
      for (const auto& silent :
           scores.stalled(stall_s_, servers_.scorers().size())) {
        servers_.hung_at_scores(silent);
      }
    }
    worker.get();
  }

  std::deque<FleetServers::Ended> ended() {
    const ProfilePart part("waiting");
    return servers_.take_ended();
  }

  // False if `next` has no more for now.
  bool fill(const NextRequest& next) {
    while (!servers_.has_enough()) {
      std::optional<Request> request = next();
      if (!request) return false;
      check(*request);
      servers_.add(*std::move(request));
    }
    return true;
  }

  void drop_unwanted(const OnCompletion& done) {
    for (const FleetRowPtr& row : servers_.watched()) {
      const Request& request = row->request;
      const bool is_dropped = request.dropped && *request.dropped;
      if (!is_dropped && request.on_text("")) continue;
      if (!servers_.drop(row)) continue;  // it ends by itself
      done({.key = request.key, .finish = Finish::kCancelled});
    }
  }

  const double stall_s_;
  FleetServers servers_;
};

}  // namespace

std::unique_ptr<Generator> make_fleet(const FleetOptions& options) {
  return std::make_unique<Fleet>(options);
}

}  // namespace selfalign::generate
