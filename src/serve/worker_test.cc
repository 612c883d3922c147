// SPDX-License-Identifier: Apache-2.0
#include "serve/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>

#include "base/error.h"
#include "generate/scripted.h"
#include "serve/testing.h"

namespace selfalign::serve {
namespace {

class Note final : public Job {
 public:
  void on_text(size_t row, std::string_view text) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    texts_[row] += text;
    changed_.notify_all();
  }
  void on_completion(size_t row, generate::Completion completion) override {
    if (fails_) throw std::runtime_error("told to");
    const std::lock_guard<std::mutex> lock(mutex_);
    completions_[row] = std::move(completion);
    changed_.notify_all();
  }
  void on_scores(size_t row, generate::Scores scores) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    scores_[row] = std::move(scores);
    changed_.notify_all();
  }
  void on_failure(size_t row, const std::string& text) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    failures_[row] = text;
    changed_.notify_all();
  }

  template <typename Done>
  bool wait(Done done) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), done);
  }
  size_t num_ended() const {
    return completions_.size() + failures_.size() + scores_.size();
  }
  bool wait_for_rows(size_t count) {
    return wait([this, count] { return num_ended() == count; });
  }

  bool fails_ = false;
  std::map<size_t, std::string> texts_;
  std::map<size_t, generate::Completion> completions_;
  std::map<size_t, generate::Scores> scores_;
  std::map<size_t, std::string> failures_;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

generate::Request request_of(uint64_t key, const std::string& text,
                             int max_tokens = 100) {
  generate::Request request;
  request.key = key;
  request.suffix = text;
  request.sampling.max_new_tokens = max_tokens;
  return request;
}

bool add(Worker& worker, std::vector<QueuedRow> rows) {
  return worker.add(std::move(rows), [] {});
}

TEST(WorkerTest, RowsOfManyJobsComeBackToTheirOwn) {
  Worker worker(std::make_unique<ByteModel>(), 1000);
  std::vector<std::shared_ptr<Note>> jobs;
  for (uint64_t j = 0; j < 20; ++j) {
    jobs.push_back(std::make_shared<Note>());
    ASSERT_TRUE(
        add(worker, {{jobs[j], 0, request_of(2 * j, str("a", j))},
                     {jobs[j], 1, request_of(2 * j + 1, str("b", j))}}));
  }
  for (size_t j = 0; j < jobs.size(); ++j) {
    ASSERT_TRUE(jobs[j]->wait_for_rows(2));
    for (const size_t row : {0, 1}) {
      const std::string text = jobs[j]->completions_[row].text;
      EXPECT_THAT(text, testing::HasSubstr(str(row == 0 ? "a" : "b", j, ",")));
      EXPECT_EQ(jobs[j]->texts_[row], text);  // streamed, whole
    }
  }
  EXPECT_EQ(worker.status().num_queued + worker.status().num_working, 0);
}

// A request joins a batch that is at work, and leaves when it is cancelled.
TEST(WorkerTest, ARowJoinsAndACancelledOneLeaves) {
  ByteModel::reset_counts();
  ByteModelOptions options;
  options.step_s = 0.001;
  options.script = [](const generate::Request& request) {
    return request.suffix == "long" ? std::string(1000000, 'x')
                                    : std::string("short");
  };
  Worker worker(std::make_unique<ByteModel>(options), 1000);
  const auto endless = std::make_shared<Note>();
  add(worker, {{endless, 0, request_of(1, "long", 1000000)}});
  ASSERT_TRUE(endless->wait([&] { return endless->texts_[0].size() > 3; }));
  const auto brief = std::make_shared<Note>();
  add(worker, {{brief, 0, request_of(2, "s")}});
  ASSERT_TRUE(brief->wait_for_rows(1));
  EXPECT_EQ(brief->completions_[0].text, "short");
  EXPECT_EQ(worker.status().num_working, 1);
  EXPECT_EQ(ByteModel::max_working, 2);

  endless->cancel();
  ASSERT_TRUE(endless->wait_for_rows(1));
  EXPECT_EQ(endless->completions_[0].finish, generate::Finish::kCancelled);
  EXPECT_EQ(ByteModel::num_cancelled, 1);
  EXPECT_EQ(worker.status().num_working, 0);
}

TEST(WorkerTest, WhatIsCancelledInTheQueueIsNeverBegun) {
  ByteModelOptions options;
  options.num_slots = 1;
  options.step_s = 0.001;
  std::atomic<int> num_begun = 0;
  options.script = [&](const generate::Request&) {
    ++num_begun;
    return std::string(50, 'x');
  };
  Worker worker(std::make_unique<ByteModel>(options), 1000);
  const auto first = std::make_shared<Note>();
  const auto gone = std::make_shared<Note>();
  const auto last = std::make_shared<Note>();
  add(worker, {{first, 0, request_of(1, "")}});
  add(worker, {{gone, 0, request_of(2, "")}});
  add(worker, {{last, 0, request_of(3, "")}});
  gone->cancel();
  ASSERT_TRUE(last->wait_for_rows(1));
  EXPECT_EQ(num_begun, 2);
  EXPECT_EQ(gone->num_ended(), 0u);
}

TEST(WorkerTest, RowsOfOneKeyHaveOneOwnerEach) {
  Worker worker(std::make_unique<ByteModel>(), 1000);
  std::vector<std::shared_ptr<Note>> jobs;
  for (size_t j = 0; j < 8; ++j) {
    jobs.push_back(std::make_shared<Note>());
    add(worker, {{jobs[j], 0, request_of(7, "same")}});
  }
  for (const auto& job : jobs) {
    ASSERT_TRUE(job->wait_for_rows(1));
    EXPECT_EQ(job->completions_[0].text, jobs[0]->completions_[0].text);
    EXPECT_EQ(job->texts_[0], job->completions_[0].text);
  }
}

TEST(WorkerTest, ScoresGoBetweenTheStepsOfALongRow) {
  ByteModelOptions options;
  options.step_s = 0.001;
  options.script = [](const generate::Request&) {
    return std::string(1000000, 'x');
  };
  Worker worker(std::make_unique<ByteModel>(options), 1000);
  const auto endless = std::make_shared<Note>();
  add(worker, {{endless, 0, request_of(1, "", 1000000)}});
  ASSERT_TRUE(endless->wait([&] { return !endless->texts_[0].empty(); }));
  const auto scored = std::make_shared<Note>();
  std::vector<QueuedRow> rows;
  for (size_t i = 0; i < 5; ++i) {
    generate::ScoreRequest request;
    request.context_tokens = {'a'};
    request.continuation_tokens = {{'b', static_cast<int>('a' + i)}};
    rows.push_back({scored, i, request});
  }
  add(worker, std::move(rows));
  ASSERT_TRUE(scored->wait_for_rows(5));
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(scored->scores_[i].continuations[0].tokens[1],
              static_cast<int>('a' + i));
  }
  EXPECT_EQ(endless->num_ended(), 0u);
}

generate::ScoreRequest context_of(int first) {
  generate::ScoreRequest request;
  request.context_tokens = {first};
  request.continuation_tokens = {{1, 2, 3}};
  return request;
}

// A clock that runs by what the model does: a second a step, eight a part of a
// score. `trace` has an s for each step and for each part its context's first
// token, from the first part on.
struct CountedTime {
  explicit CountedTime(ByteModelOptions& options) {
    options.score_parts = 15;
    options.step_s = 0.0001;
    options.script = [](const generate::Request&) {
      return std::string(1000000, 'x');
    };
    options.on_step = [this] {
      seconds = seconds + 1;
      add('s');
    };
    options.on_part = [this](const generate::ScoreRequest& request) {
      seconds = seconds + 8;
      add(static_cast<char>(request.context_tokens[0]));
    };
  }
  void add(char what) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (what != 's' || !trace.empty()) trace += what;
  }
  std::string traced() {
    const std::lock_guard<std::mutex> lock(mutex);
    return trace;
  }
  Worker::Clock clock() {
    return [this] { return seconds.load(); };
  }

  std::atomic<double> seconds = 0;
  std::mutex mutex;
  std::string trace;
};

// A stream keeps two thirds of its steps, whoever has however many contexts
// scored; and with all slots taken something is scored, too.
TEST(WorkerTest, PartsOfScoresAndStepsTakeTurnsByTime) {
  ByteModelOptions options;
  options.num_slots = 1;
  CountedTime time(options);
  Worker worker(std::make_unique<ByteModel>(options), 1000, time.clock());
  const auto endless = std::make_shared<Note>();
  add(worker, {{endless, 0, request_of(1, "", 1000000), 1}});
  ASSERT_TRUE(endless->wait([&] { return !endless->texts_[0].empty(); }));
  const auto scored = std::make_shared<Note>();
  std::vector<QueuedRow> rows;
  for (size_t i = 0; i < 200; ++i)
    rows.push_back({scored, i, context_of('a'), 2});
  add(worker, std::move(rows));
  ASSERT_TRUE(scored->wait([&] { return scored->num_ended() >= 10; }));
  const std::string trace = time.traced();
  EXPECT_EQ(trace.find("aa"), std::string::npos);
  const auto num_parts = std::count(trace.begin(), trace.end(), 'a');
  const auto num_steps = std::count(trace.begin(), trace.end(), 's');
  EXPECT_GE(num_parts, 150);
  EXPECT_NEAR(static_cast<double>(num_steps),
              16 * static_cast<double>(num_parts), 32);
  scored->cancel();
  endless->cancel();
}

// Of the first `count` parts, how many are of each context.
std::map<char, int> parts_of(const std::string& trace, size_t count) {
  std::map<char, int> parts;
  for (const char what : trace) {
    if (what == 's' || count == 0) continue;
    ++parts[what];
    --count;
  }
  return parts;
}

TEST(WorkerTest, ScoringIsSharedByClient) {
  ByteModelOptions options;
  CountedTime time(options);
  std::mutex begun;
  begun.lock();  // nothing is scored before all of it is queued
  const auto on_part = options.on_part;
  options.on_part = [&](const generate::ScoreRequest& request) {
    const std::lock_guard<std::mutex> lock(begun);
    on_part(request);
  };
  Worker worker(std::make_unique<ByteModel>(options), 1000, time.clock());
  std::vector<std::shared_ptr<Note>> jobs;
  const auto queue = [&](char name, size_t count) {
    jobs.push_back(std::make_shared<Note>());
    std::vector<QueuedRow> rows;
    for (size_t i = 0; i < count; ++i) {
      rows.push_back(
          {jobs.back(), i, context_of(name), static_cast<uint64_t>(name)});
    }
    ASSERT_TRUE(add(worker, std::move(rows)));
  };
  queue('a', 200);
  for (const char name : {'b', 'c'}) queue(name, 40);
  queue('d', 1);
  begun.unlock();
  ASSERT_TRUE(jobs[3]->wait_for_rows(1) && jobs[1]->wait_for_rows(40));
  const std::string trace = time.traced();
  EXPECT_LT(trace.rfind('d'), 70u);  // 15 parts each, long before the 200
  for (const auto& [name, count] : parts_of(trace, 40)) {
    EXPECT_NEAR(count, 10, 2) << name;  // by parts, not by whole contexts
  }
  const std::map<char, int> parts = parts_of(trace, 1000);
  EXPECT_EQ(parts.at('d'), 15);
  EXPECT_NEAR(parts.at('a'), parts.at('b'), 16);
  EXPECT_NEAR(parts.at('b'), parts.at('c'), 16);
  // Those of a client that has gone are given up, in the middle, too.
  jobs[0]->cancel();
  const size_t num_ended = jobs[0]->num_ended();
  ASSERT_TRUE(jobs[2]->wait_for_rows(40));
  const auto idle = [&] {
    const WorkerStatus status = worker.status();
    return status.num_queued + status.num_working == 0;
  };
  while (!idle()) std::this_thread::yield();
  EXPECT_LE(jobs[0]->num_ended(), num_ended + 1);
}

TEST(WorkerTest, TheNextRowIsOfTheClientWithTheFewestAtWork) {
  ByteModelOptions options;
  options.num_slots = 2;
  options.step_s = 0.0005;
  std::mutex mutex;
  std::string order;
  options.script = [&](const generate::Request& request) {
    const std::lock_guard<std::mutex> lock(mutex);
    order += request.suffix;
    return std::string(20, 'x');
  };
  Worker worker(std::make_unique<ByteModel>(options), 1000);
  const auto many = std::make_shared<Note>();
  const auto few = std::make_shared<Note>();
  std::vector<QueuedRow> rows;
  for (size_t i = 0; i < 100; ++i) {
    rows.push_back({many, i, request_of(i, "a"), 1});
  }
  add(worker, std::move(rows));
  ASSERT_TRUE(many->wait([&] { return many->texts_.size() == 2; }));
  for (size_t i = 0; i < 5; ++i) {
    add(worker, {{few, i, request_of(200 + i, "b"), 2}});
  }
  ASSERT_TRUE(few->wait_for_rows(5));
  EXPECT_LT(many->num_ended(), 20u);
  const std::lock_guard<std::mutex> lock(mutex);
  EXPECT_LT(order.rfind('b'), 20u) << order;
  many->cancel();
}

TEST(WorkerTest, AFullQueueTakesAllOfAJobOrNothing) {
  ByteModelOptions options;
  options.num_slots = 1;
  options.step_s = 0.01;
  Worker worker(std::make_unique<ByteModel>(options), 3);
  const auto job = std::make_shared<Note>();
  add(worker, {{job, 0, request_of(1, "")}});
  ASSERT_TRUE(job->wait([&] { return !job->texts_[0].empty(); }));
  EXPECT_FALSE(add(worker, {{job, 1, request_of(2, "")},
                            {job, 2, request_of(3, "")},
                            {job, 3, request_of(4, "")},
                            {job, 4, request_of(5, "")}}));
  EXPECT_EQ(worker.status().num_queued, 0);
  EXPECT_TRUE(add(worker, {{job, 1, request_of(2, "")},
                           {job, 2, request_of(3, "")},
                           {job, 3, request_of(4, "")}}));
  job->cancel();
}

// Whoever asks for much leaves room in the queue for those who ask for little.
TEST(WorkerTest, ManyRowsLeaveRoomForFew) {
  ByteModelOptions options;
  options.num_slots = 1;
  options.step_s = 0.01;
  options.script = [](const generate::Request&) {
    return std::string(1000000, 'x');
  };
  Worker worker(std::make_unique<ByteModel>(options), 100);
  const auto job = std::make_shared<Note>();
  add(worker, {{job, 0, request_of(1, "", 1000000)}});
  ASSERT_TRUE(job->wait([&] { return !job->texts_[0].empty(); }));
  uint64_t key = 2;
  const auto add_rows = [&](size_t count) {
    std::vector<QueuedRow> rows;
    for (size_t i = 0; i < count; ++i) {
      rows.push_back({job, i, request_of(key++, "")});
    }
    return add(worker, std::move(rows));
  };
  EXPECT_TRUE(add_rows(58));
  EXPECT_FALSE(add_rows(18));
  EXPECT_TRUE(add_rows(17));
  EXPECT_TRUE(add_rows(16));
  EXPECT_FALSE(add_rows(16));
  EXPECT_TRUE(add_rows(9));
  job->cancel();
}

TEST(WorkerTest, RowsOfAPrefixGoTogetherAndTheOthersHaveTheirTurn) {
  ByteModelOptions options;
  options.num_slots = 3;
  std::mutex mutex;
  std::vector<std::string> order;
  options.step_s = 0.0002;
  options.script = [&](const generate::Request& request) {
    const std::lock_guard<std::mutex> lock(mutex);
    order.push_back(request.prefix ? *request.prefix : "none");
    return std::string(1 + request.key / 2 % 5, 'x');
  };
  Worker worker(std::make_unique<ByteModel>(options), 10000);
  const auto job = std::make_shared<Note>();
  std::vector<QueuedRow> rows;
  for (size_t i = 0; i < 400; ++i) {
    generate::Request request = request_of(i, "");
    request.prefix =
        std::make_shared<const std::string>(i % 2 == 0 ? "even" : "odd");
    rows.push_back({job, i, request});
  }
  add(worker, std::move(rows));
  ASSERT_TRUE(job->wait_for_rows(400));
  int changes = 0;
  for (size_t i = 1; i < order.size(); ++i) changes += order[i] != order[i - 1];
  EXPECT_LT(changes, 100);  // in turn it would be 399
  // Half of the rows must not wait until the other half is done.
  EXPECT_GT(std::count(order.begin(), order.begin() + 200, "odd"), 20);
}

// A model that fails takes the rows at work with it, and nothing else.
TEST(WorkerTest, AFailureIsToldAndTheNextRowsAreAnswered) {
  ByteModelOptions options;
  options.script = [](const generate::Request& request) -> std::string {
    if (request.suffix == "bad") throw std::runtime_error("no such thing");
    return "fine";
  };
  Worker worker(std::make_unique<ByteModel>(options), 100);
  const auto bad = std::make_shared<Note>();
  add(worker, {{bad, 0, request_of(1, "bad")}});
  ASSERT_TRUE(bad->wait_for_rows(1));
  EXPECT_EQ(bad->failures_.size(), 1u);
  const auto throwing = std::make_shared<Note>();
  throwing->fails_ = true;
  const auto good = std::make_shared<Note>();
  add(worker, {{throwing, 0, request_of(2, "")}, {good, 0, request_of(3, "")}});
  ASSERT_TRUE(good->wait_for_rows(1));
  EXPECT_EQ(good->completions_[0].text, "fine");
  ASSERT_TRUE(throwing->wait_for_rows(1));
  EXPECT_EQ(throwing->failures_.size(), 1u);
}

TEST(WorkerTest, WhatTheModelWouldRefuseIsNotQueued) {
  Worker worker(std::make_unique<ByteModel>(), 100);
  const auto job = std::make_shared<Note>();
  generate::Request bad = request_of(2, "");
  bad.prompt_tokens = {258};
  EXPECT_THROW(add(worker, {{job, 0, request_of(1, "")}, {job, 1, bad}}),
               Error);
  EXPECT_EQ(worker.status().num_queued + worker.status().num_working, 0);
}

TEST(WorkerTest, EndsWithRowsAtWork) {
  ByteModelOptions options;
  options.step_s = 0.001;
  options.script = [](const generate::Request&) {
    return std::string(1000000, 'x');
  };
  const auto job = std::make_shared<Note>();
  const auto begin = std::chrono::steady_clock::now();
  {
    Worker worker(std::make_unique<ByteModel>(options), 1000);
    std::vector<QueuedRow> rows;
    for (size_t i = 0; i < 10; ++i) {
      rows.push_back({job, i, request_of(i, "", 1000000)});
    }
    add(worker, std::move(rows));
    ASSERT_TRUE(job->wait([&] { return !job->texts_.empty(); }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace selfalign::serve
