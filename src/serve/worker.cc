// SPDX-License-Identifier: Apache-2.0
#include "serve/worker.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace selfalign::serve {
namespace {

// A generator works on rows of one prefix at a time. So rows of the prefix at
// work go first, but not more often than this past a row of another.
constexpr int kMaxOvertaken = 64;
// Seconds of scoring for each second of decoding, while there are both. With a
// half a stream keeps two thirds of its rate.
constexpr double kScoreShare = 0.5;
// Each under way keeps the keys and values of its context.
constexpr size_t kMaxScores = 4;
// Requests of more rows leave the last quarter of the queue to others.
constexpr size_t kFewRows = 16;

bool same_text(const std::shared_ptr<const std::string>& a,
               const std::shared_ptr<const std::string>& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}

const generate::Request* request_of(const QueuedRow& row) {
  return std::get_if<generate::Request>(&row.request);
}

constexpr char kFailed[] = "the model failed; the server's log says why";

// What goes wrong with one job is no other's concern.
template <typename Work>
void guarded(Job& job, size_t index, const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    log_error(str("serve: ", error.what()));
    job.on_failure(index, kFailed);
  }
}

}  // namespace

double Worker::steady_seconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Worker::Worker(std::unique_ptr<generate::Generator> generator, int max_queued,
               Clock clock)
    : generator_(std::move(generator)),
      fingerprint_(generator_->fingerprint()),
      max_queued_(static_cast<size_t>(max_queued)),
      clock_(std::move(clock)) {
  generator_->when_stepped([this] { stepped(); });
  thread_ = std::thread([this] { run(); });
}

Worker::~Worker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (const QueuedRow& row : queue_) row.job->cancel();
    for (const auto& [key, row] : working_) row.job->cancel();
  }
  wake_.notify_all();
  thread_.join();
}

bool Worker::add(std::vector<QueuedRow> rows,
                 const std::function<void()>& accepted) {
  for (const QueuedRow& row : rows) {
    if (const auto* request = request_of(row)) generator_->check(*request);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    drop_cancelled();
    const size_t most =
        rows.size() > kFewRows ? max_queued_ - max_queued_ / 4 : max_queued_;
    if (stopping_ || queue_.size() + rows.size() > most) return false;
    accepted();
    std::move(rows.begin(), rows.end(), std::back_inserter(queue_));
  }
  wake_.notify_all();
  return true;
}

WorkerStatus Worker::status() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {static_cast<int>(queue_.size()),
          static_cast<int>(working_.size() + scores_.size())};
}

void Worker::run() {
  while (true) {
    bool generates = false;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] {
        return stopping_ || !queue_.empty() || !scores_.empty();
      });
      if (stopping_) return;
      drop_cancelled();
      generates = has_requests();
    }
    if (generates) {
      generate();
    } else {
      score_part();
    }
  }
}

void Worker::generate() {
  due_ = 0;
  step_began_ = clock_();
  try {
    generator_->generate([this] { return next(); },
                         [this](generate::Completion completion) {
                           done(std::move(completion));
                         });
    fail_working("the server is stopping");  // none, unless interrupted
  } catch (const std::exception& error) {
    log_error(str("serve: ", error.what()));
    fail_working(kFailed);
  }
}

std::optional<generate::Request> Worker::next() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return std::nullopt;
  drop_cancelled();
  const auto at = pick_request();
  if (at == queue_.end()) return std::nullopt;
  auto& request = std::get<generate::Request>(at->request);
  prefix_ = request.prefix;
  working_[request.key] = {at->job, at->index, at->client};
  request.on_text = [job = at->job, index = at->index](std::string_view text) {
    if (!job->is_cancelled() && !text.empty()) {
      guarded(*job, index, [&] { job->on_text(index, text); });
    }
    return !job->is_cancelled();
  };
  generate::Request taken = std::move(request);
  queue_.erase(at);
  return taken;
}

// Of the rows whose key is not at work the first of the client with the fewest
// at work; before it one of the prefix at work, unless too many went before it
// already.
std::deque<QueuedRow>::iterator Worker::pick_request() {
  std::unordered_map<uint64_t, int> num_working;  // of each client
  for (const auto& [key, row] : working_) ++num_working[row.client];
  auto first = queue_.end();
  auto same = queue_.end();
  int fewest = 0, fewest_same = 0;
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    const generate::Request* request = request_of(*at);
    if (request == nullptr || working_.count(request->key) > 0) continue;
    const auto known = num_working.find(at->client);
    const int count = known == num_working.end() ? 0 : known->second;
    if (first == queue_.end() || count < fewest) {
      first = at;
      fewest = count;
    }
    if ((same == queue_.end() || count < fewest_same) &&
        same_text(request->prefix, prefix_)) {
      same = at;
      fewest_same = count;
    }
  }
  if (same == first || same == queue_.end() || working_.empty() ||
      num_overtaken_ >= kMaxOvertaken) {
    num_overtaken_ = 0;
    return first;
  }
  ++num_overtaken_;
  return same;
}

void Worker::done(generate::Completion completion) {
  Working row;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = working_.find(completion.key);
    if (found == working_.end()) return;
    row = std::move(found->second);
    working_.erase(found);
  }
  guarded(*row.job, row.index,
          [&] { row.job->on_completion(row.index, std::move(completion)); });
}

void Worker::fail_working(const std::string& text) {
  std::unordered_map<uint64_t, Working> failed;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    failed.swap(working_);
  }
  for (auto& [key, row] : failed) row.job->on_failure(row.index, text);
}

// Steps of rows and parts of scores take turns, by time: a part begins when the
// steps since the last one have made up for it.
void Worker::stepped() {
  double now = clock_();
  due_ += kScoreShare * (now - step_began_);
  while (due_ > 0) {
    if (!score_part()) {
      due_ = 0;  // nothing is saved up
      break;
    }
    const double begin = std::exchange(now, clock_());
    due_ -= now - begin;
  }
  step_began_ = now;
}

bool Worker::score_part() {
  Scored* const scored = pick_score();
  if (scored == nullptr) return false;
  const QueuedRow& row = scored->row;
  const double begin = clock_();
  bool over = true;  // also where it fails
  guarded(*row.job, row.index, [&] {
    if (scored->scoring == nullptr) {
      scored->scoring = generator_->begin_score(
          std::get<generate::ScoreRequest>(row.request));
    }
    over = scored->scoring->advance();
    if (over) {
      row.job->on_scores(row.index, std::move(scored->scoring->scores));
    }
  });
  const double seconds = clock_() - begin;
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto client = scored_for_.find(row.client);
  if (client != scored_for_.end()) client->second += seconds;
  if (over) {
    scores_.remove_if([&](const Scored& other) { return &other == scored; });
  }
  return true;
}

Worker::Scored* Worker::pick_score() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return nullptr;
  drop_cancelled();
  std::erase_if(scores_, [](const Scored& scored) {
    return scored.row.job->is_cancelled();
  });
  share_scores();
  Scored* least = nullptr;
  double seconds = 0;
  for (Scored& scored : scores_) {
    const double count = scored_for_.at(scored.row.client);
    if (least != nullptr && count >= seconds) continue;
    least = &scored;
    seconds = count;
  }
  if (scores_.size() >= kMaxScores) return least;
  auto next = queue_.end();
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    if (request_of(*at) != nullptr) continue;
    const bool begun = std::any_of(
        scores_.begin(), scores_.end(),
        [&](const Scored& scored) { return scored.row.client == at->client; });
    const double count = scored_for_.at(at->client);
    if (begun ||
        ((least != nullptr || next != queue_.end()) && count >= seconds)) {
      continue;
    }
    next = at;
    seconds = count;
  }
  if (next == queue_.end()) return least;
  scores_.push_back({std::move(*next), nullptr});
  queue_.erase(next);
  return &scores_.back();
}

// Clients that have nothing to score any more are forgotten.
void Worker::share_scores() {
  std::map<uint64_t, double> now;
  double least = 0;
  const auto keep = [&](const QueuedRow& row) {
    const auto known = scored_for_.find(row.client);
    if (known != scored_for_.end()) now.insert(*known);
  };
  for (const Scored& scored : scores_) keep(scored.row);
  for (const QueuedRow& row : queue_) {
    if (request_of(row) == nullptr) keep(row);
  }
  for (auto at = now.begin(); at != now.end(); ++at) {
    least = at == now.begin() ? at->second : std::min(least, at->second);
  }
  for (const QueuedRow& row : queue_) {
    if (request_of(row) == nullptr) now.try_emplace(row.client, least);
  }
  scored_for_ = std::move(now);
}

void Worker::drop_cancelled() {
  std::erase_if(queue_,
                [](const QueuedRow& row) { return row.job->is_cancelled(); });
}

bool Worker::has_requests() const {
  return std::any_of(queue_.begin(), queue_.end(), [](const QueuedRow& row) {
    return request_of(row) != nullptr;
  });
}

}  // namespace selfalign::serve
