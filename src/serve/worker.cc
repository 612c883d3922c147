#include "serve/worker.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace selfalign::serve {
namespace {

// A generator works on rows of one prefix at a time. So rows of the prefix at
// work go first, but not more often than this past a row of another.
constexpr int kMaxOvertaken = 64;

bool same_text(const std::shared_ptr<const std::string>& a,
               const std::shared_ptr<const std::string>& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}

const generate::Request* request_of(const Row& row) {
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

Worker::Worker(std::unique_ptr<generate::Generator> generator, int max_queued)
    : generator_(std::move(generator)),
      fingerprint_(generator_->fingerprint()),
      max_queued_(static_cast<size_t>(max_queued)) {
  thread_ = std::thread([this] { run(); });
}

Worker::~Worker() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (const Row& row : queue_) row.job->cancel();
    for (const auto& [key, row] : working_) row.job->cancel();
  }
  wake_.notify_all();
  thread_.join();
}

bool Worker::add(std::vector<Row> rows, const std::function<void()>& accepted) {
  for (const Row& row : rows) {
    if (const auto* request = request_of(row)) generator_->check(*request);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    drop_cancelled();
    if (stopping_ || queue_.size() + rows.size() > max_queued_) return false;
    accepted();
    std::move(rows.begin(), rows.end(), std::back_inserter(queue_));
  }
  wake_.notify_all();
  return true;
}

WorkerStatus Worker::status() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {static_cast<int>(queue_.size()), static_cast<int>(working_.size())};
}

void Worker::run() {
  while (true) {
    bool generates = false;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      drop_cancelled();
      generates = has_requests();
    }
    if (generates) {
      generate();
    } else {
      score_one();
    }
  }
}

void Worker::generate() {
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

// Scores go between steps, one context at a time, so that neither kind of work
// waits for the end of the other.
std::optional<generate::Request> Worker::next() {
  score_one();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (stopping_) return std::nullopt;
  drop_cancelled();
  const auto at = pick_request();
  if (at == queue_.end()) return std::nullopt;
  auto& request = std::get<generate::Request>(at->request);
  prefix_ = request.prefix;
  working_[request.key] = {at->job, at->index};
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

// The first row whose key is not at work; before it one of the prefix at work,
// unless too many went before it already.
std::deque<Row>::iterator Worker::pick_request() {
  auto first = queue_.end();
  for (auto at = queue_.begin(); at != queue_.end(); ++at) {
    const generate::Request* request = request_of(*at);
    if (request == nullptr || working_.count(request->key) > 0) continue;
    if (first == queue_.end()) first = at;
    if (working_.empty() || num_overtaken_ >= kMaxOvertaken) break;
    if (!same_text(request->prefix, prefix_)) continue;
    num_overtaken_ = at == first ? 0 : num_overtaken_ + 1;
    return at;
  }
  num_overtaken_ = 0;
  return first;
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

bool Worker::score_one() {
  Row row;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return false;
    const auto at =
        std::find_if(queue_.begin(), queue_.end(), [](const Row& queued) {
          return request_of(queued) == nullptr && !queued.job->is_cancelled();
        });
    if (at == queue_.end()) return false;
    row = std::move(*at);
    queue_.erase(at);
  }
  guarded(*row.job, row.index, [&] {
    auto scores =
        generator_->score({std::get<generate::ScoreRequest>(row.request)});
    row.job->on_scores(row.index, std::move(scores.at(0)));
  });
  return true;
}

void Worker::drop_cancelled() {
  std::erase_if(queue_, [](const Row& row) { return row.job->is_cancelled(); });
}

bool Worker::has_requests() const {
  return std::any_of(queue_.begin(), queue_.end(),
                     [](const Row& row) { return request_of(row) != nullptr; });
}

}  // namespace selfalign::serve
