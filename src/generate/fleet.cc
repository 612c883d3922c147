// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "generate/fleet_servers.h"

namespace selfalign::generate {
namespace {

constexpr size_t kScoresInPart = 256;  // requests

// Requests of scores, in parts that servers take as they have done one.
class FleetScores {
 public:
  explicit FleetScores(const std::vector<ScoreRequest>& requests)
      : requests_(requests), all_(requests.size()) {
    for (size_t begin = 0; begin < requests.size(); begin += kScoresInPart) {
      parts_.emplace_back(begin,
                          std::min(requests.size(), begin + kScoresInPart));
    }
  }

  // Until no part is left, or the generator fails: others may do it.
  void work(Generator& generator) {
    while (const std::optional<Part> part = next()) {
      try {
        std::vector<Scores> scores =
            generator.score({requests_.begin() + long(part->first),
                             requests_.begin() + long(part->second)});
        std::move(scores.begin(), scores.end(),
                  all_.begin() + long(part->first));
      } catch (const Error&) {
        const std::lock_guard lock(mutex_);
        parts_.push_back(*part);
        error_ = std::current_exception();
        return;
      }
    }
  }

  // Throws what the last one failed by, where parts are left.
  std::vector<Scores> take() {
    if (!parts_.empty() && error_ && !interrupted()) {
      std::rethrow_exception(error_);
    }
    return std::move(all_);
  }

 private:
  using Part = std::pair<size_t, size_t>;  // [begin, end)

  std::optional<Part> next() {
    const std::lock_guard lock(mutex_);
    if (parts_.empty() || interrupted()) return std::nullopt;
    const Part part = parts_.front();
    parts_.pop_front();
    return part;
  }

  const std::vector<ScoreRequest>& requests_;
  std::vector<Scores> all_;
  std::mutex mutex_;
  std::deque<Part> parts_;
  std::exception_ptr error_;
};

class Fleet final : public Generator {
 public:
  explicit Fleet(const FleetOptions& options) : servers_(options) {}

  void generate(const NextRequest& next, const OnCompletion& done) override {
    const struct Leaving {
      ~Leaving() { servers.drop_all(); }
      FleetServers& servers;
    } leaving{servers_};
    servers_.begin();
    while (!interrupted()) {
      const bool has_more = fill(next);
      if (!has_more && !servers_.has_rows()) return;
      for (FleetServers::Ended& one : servers_.take_ended()) {
        const Request& request = one.row->request;
        if (request.on_text) request.on_text(one.completion.text);
        done(std::move(one.completion));
      }
      drop_unwanted(done);
      servers_.look_after();
    }
  }

  std::vector<Scores> score(
      const std::vector<ScoreRequest>& requests) override {
    FleetScores scores(requests);
    std::vector<std::future<void>> workers;
    for (const auto& generator : servers_.open_generators()) {
      workers.push_back(std::async(std::launch::async, [&scores, generator] {
        scores.work(*generator);
      }));
    }
    for (auto& worker : workers) worker.get();
    return scores.take();
  }

  void check(const Request& request) const override {
    servers_.any()->check(request);
  }

  // Of the servers that are open: the name that they have in common, if any.
  std::string fingerprint() const override {
    std::string name;
    for (const auto& generator : servers_.open_generators()) {
      const std::string one = generator->fingerprint();
      if (!name.empty() && name != one) return "remote fleet";
      name = one;
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

 private:
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

  FleetServers servers_;
};

}  // namespace

std::unique_ptr<Generator> make_fleet(const FleetOptions& options) {
  return std::make_unique<Fleet>(options);
}

}  // namespace selfalign::generate
