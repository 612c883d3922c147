// SPDX-License-Identifier: Apache-2.0
// The thread behind one served model: a queue that feeds the generator, so that
// a request joins the batch at the next step. Clients share what there is: the
// next row is of the one with the fewest at work, the next part of a score of
// the one for whom was scored least. Knows nothing of HTTP or JSON.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "generate/generator.h"

namespace selfalign::serve {

// A piece of work of one client and what becomes of it: rows to generate and
// contexts to score, each named by its place. The calls come from the worker's
// thread, must be quick and must not throw.
class Job {
 public:
  virtual ~Job() = default;
  // Text of a row as it becomes certain.
  virtual void on_text(size_t row, std::string_view text) = 0;
  virtual void on_completion(size_t row, generate::Completion completion) = 0;
  virtual void on_scores(size_t row, generate::Scores scores) = 0;
  // A row failed, `text` says why. Further calls may come for other rows.
  virtual void on_failure(size_t row, const std::string& text) = 0;

  // Nobody waits for the rest: rows in the queue are dropped, rows at work end
  // at their next step. After it calls may still come. Any thread.
  void cancel() { cancelled_ = true; }
  bool is_cancelled() const { return cancelled_; }

 private:
  std::atomic<bool> cancelled_ = false;
};

struct QueuedRow {
  std::shared_ptr<Job> job;
  size_t index = 0;  // in its job
  std::variant<generate::Request, generate::ScoreRequest> request;
  uint64_t client = 0;  // who asks
};

struct WorkerStatus {
  int num_queued = 0;
  int num_working = 0;
};

class Worker {
 public:
  using Clock = std::function<double()>;  // seconds since any point in time

  // More than max_queued rows waiting are refused; the last quarter of them is
  // for requests of up to 16 rows.
  Worker(std::unique_ptr<generate::Generator> generator, int max_queued,
         Clock clock = steady_seconds);
  // Drops what is queued, ends what is at work at its next step.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // All rows or, where they do not fit into the queue, none of them: false.
  // `accepted` is called before the first of them can begin. Error for a
  // request that the generator would refuse: it would take others with it. Any
  // thread.
  bool add(std::vector<QueuedRow> rows, const std::function<void()>& accepted);

  WorkerStatus status() const;  // any thread
  const std::string& fingerprint() const { return fingerprint_; }

  static double steady_seconds();

 private:
  using Request = generate::Request;
  struct Working {
    std::shared_ptr<Job> job;
    size_t index = 0;
    uint64_t client = 0;
  };
  struct Scored {
    QueuedRow row;
    std::unique_ptr<generate::Scoring> scoring;  // null: not begun
  };

  void run();
  void generate();
  std::optional<Request> next();
  void done(generate::Completion completion);
  void fail_working(const std::string& text);
  // After a step of the generator: scores for as long as is due.
  void stepped();
  // Scores a part, if there is something to score.
  bool score_part();
  // Of the client for whom was scored least; null: there is none. What is
  // queued is begun if no other score of its client is.
  Scored* pick_score();

  // The mutex is held for these.
  void drop_cancelled();
  std::deque<QueuedRow>::iterator pick_request();
  bool has_requests() const;
  void share_scores();

  std::unique_ptr<generate::Generator> generator_;
  const std::string fingerprint_;
  const size_t max_queued_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<QueuedRow> queue_;
  bool stopping_ = false;
  // Rows at work by key. Two of one key are never at work together, so that a
  // completion has one owner; their texts would be the same.
  std::unordered_map<uint64_t, Working> working_;
  std::shared_ptr<const std::string> prefix_;  // of the rows at work
  int num_overtaken_ = 0;  // times the queue's head had to wait for it
  // Scores under way, of a client each.
  std::list<Scored> scores_;
  // Seconds of scoring for each client that has something to score. One that
  // comes begins where the least of the others is.
  std::map<uint64_t, double> scored_for_;

  // Of the worker's thread alone.
  const Clock clock_;
  double due_ = 0;         // seconds of scoring; below 0: more than was due
  double step_began_ = 0;  // since when the clock runs for the step

  std::thread thread_;
};

}  // namespace selfalign::serve
