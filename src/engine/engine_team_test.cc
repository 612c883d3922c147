// SPDX-License-Identifier: Apache-2.0
// Of engines with real (tiny) weights: whatever a team does, callers see one
// generator, and the bits of one engine.
#include "engine/engine_team.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/testing.h"
#include "engine/packed_cache.h"
#include "engine/parallel.h"
#include "engine/testing.h"

namespace selfalign::engine {
namespace {

using generate::Completion;
using generate::Finish;
using generate::Generator;
using generate::Request;
using generate::ScoreRequest;

const auto kPrefix = std::make_shared<const std::string>(
    "Two of us work at this, and nobody can tell. ");

std::vector<Request> some_requests(uint64_t count) {
  std::vector<Request> requests(count);
  for (uint64_t i = 0; i < count; ++i) {
    requests[i].key = i;
    if (i % 3 != 0) requests[i].prefix = kPrefix;
    requests[i].suffix = std::string(1 + i * 7 % 40, char('a' + i % 26));
    requests[i].sampling.max_new_tokens = 3 + int(i * 5 % 19);
    requests[i].sampling.ban_eos = i % 2 == 0;
  }
  return requests;
}

std::vector<ScoreRequest> some_scores(size_t count) {
  std::vector<ScoreRequest> all(count);
  for (size_t i = 0; i < count; ++i) {
    all[i] = {.key = i,
              .context = std::string(1 + i % 9, char('a' + i % 26)),
              .continuations = {"x", " yz"}};
  }
  return all;
}

void expect_same(const Completions& a, const Completions& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [key, one] : a) {
    EXPECT_EQ(one.text, b.at(key).text) << key;
    EXPECT_EQ(one.logprob, b.at(key).logprob) << key;
    EXPECT_EQ(one.finish, b.at(key).finish) << key;
  }
}

void expect_same(const std::vector<generate::Scores>& a,
                 const std::vector<generate::Scores>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].key, b[i].key);
    for (size_t j = 0; j < a[i].continuations.size(); ++j) {
      EXPECT_EQ(a[i].continuations[j].logprobs, b[i].continuations[j].logprobs);
    }
  }
}

// An engine that notes what it was given, and can be told to fail.
class Watched final : public Generator {
 public:
  explicit Watched(std::unique_ptr<Generator> inner)
      : thread_(std::this_thread::get_id()), inner_(std::move(inner)) {}
  ~Watched() override { check_thread(); }

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    check_thread();
    inner_->generate(
        [&] {
          auto request = next();
          if (request) ++num_rows;
          if (request && request->key == fails_at)
            throw Error(ErrorKind::kFailed, "this engine is broken");
          return request;
        },
        done);
  }
  std::vector<generate::Scores> score(
      const std::vector<ScoreRequest>& requests) override {
    check_thread();
    num_scores += int(requests.size());
    if (before_scores) before_scores();
    return inner_->score(requests);
  }
  std::unique_ptr<generate::Scoring> begin_score(
      ScoreRequest request) override {
    check_thread();
    ++num_parts;
    return inner_->begin_score(std::move(request));
  }
  void when_stepped(std::function<void()> callback) override {
    inner_->when_stepped(std::move(callback));
  }
  void check(const Request& request) const override { inner_->check(request); }
  std::string fingerprint() const override { return inner_->fingerprint(); }
  int count_tokens(const std::string& text) const override {
    return inner_->count_tokens(text);
  }
  std::vector<int> token_ids(const std::string& text) const override {
    return inner_->token_ids(text);
  }

  std::atomic<int> num_rows = 0;
  std::atomic<int> num_scores = 0;
  std::atomic<int> num_parts = 0;
  std::atomic<uint64_t> fails_at = ~uint64_t{0};
  std::function<void()> before_scores;  // set while nobody scores

 private:
  void check_thread() const { EXPECT_EQ(std::this_thread::get_id(), thread_); }
  const std::thread::id thread_;
  const std::unique_ptr<Generator> inner_;
};

class EngineTeamTest : public ::testing::Test {
 protected:
  ~EngineTeamTest() override { set_interrupted(false); }

  std::unique_ptr<Generator> team(size_t size = 2) {
    engines_.assign(size, nullptr);
    return make_engine_team(std::vector<EnginePlace>(size), [this](size_t i) {
      auto one = std::make_unique<Watched>(engine_of());
      engines_[i] = one.get();
      return one;
    });
  }

  std::vector<Watched*> engines_;
};

TEST_F(EngineTeamTest, RowsAndScoresAreThoseOfOneEngine) {
  const auto one = engine_of();
  const auto requests = some_requests(40);
  const Completions want = run(*one, requests);
  const auto scores = one->score(some_scores(30));
  for (const size_t size : {1, 2, 3}) {
    const auto many = team(size);
    EXPECT_EQ(many->fingerprint(), one->fingerprint());
    EXPECT_EQ(many->token_ids("abc"), one->token_ids("abc"));
    EXPECT_EQ(many->count_tokens("abc"), 3);
    for (int round = 0; round < 2; ++round) {
      expect_same(want, run(*many, requests));
      expect_same(scores, many->score(some_scores(30)));
    }
  }
}

TEST_F(EngineTeamTest, ARowGoesToTheEngineThatHasTheFewest) {
  const auto many = team(2);
  auto requests = some_requests(8);    // as many as there are slots
  for (Request& request : requests) {  // and none ends before all are given
    request.sampling.max_new_tokens = 300;
    request.sampling.ban_eos = true;
  }
  run(*many, requests);
  EXPECT_EQ(engines_[0]->num_rows, 4);
  EXPECT_EQ(engines_[1]->num_rows, 4);
  run(*many, some_requests(60));
  EXPECT_GT(engines_[0]->num_rows, 4);
  EXPECT_GT(engines_[1]->num_rows, 4);
  EXPECT_EQ(engines_[0]->num_rows + engines_[1]->num_rows, 68);
}

TEST_F(EngineTeamTest, AllIsCalledFromTheThreadThatCalls) {
  const auto many = team();
  const auto self = std::this_thread::get_id();
  std::map<uint64_t, std::string> streamed;
  Completions ended;
  int num_steps = 0;
  bool inside = false;  // one at a time
  const auto enter = [&] {
    EXPECT_EQ(std::this_thread::get_id(), self);
    EXPECT_FALSE(std::exchange(inside, true));
  };
  many->when_stepped([&] {
    enter();
    ++num_steps;
    inside = false;
  });
  auto requests = some_requests(30);
  size_t at = 0;
  many->generate(
      [&]() -> std::optional<Request> {
        enter();
        inside = false;
        if (at == requests.size()) return std::nullopt;
        Request request = requests[at++];
        request.on_text = [&, key = request.key](std::string_view text) {
          enter();
          streamed[key] += text;
          inside = false;
          return key % 7 != 0;  // these are taken back at once
        };
        return request;
      },
      [&](Completion completion) {
        enter();
        ended[completion.key] = std::move(completion);
        inside = false;
      });
  ASSERT_EQ(ended.size(), requests.size());
  const Completions want = run(*engine_of(), requests);
  for (const auto& [key, one] : ended) {
    EXPECT_EQ(streamed[key], one.text);
    EXPECT_EQ(one.finish,
              key % 7 == 0 ? Finish::kCancelled : want.at(key).finish);
    if (key % 7 != 0) {
      EXPECT_EQ(one.text, want.at(key).text);
    }
  }
  EXPECT_GT(num_steps, 20);
  many->when_stepped({});
  const int before = num_steps;
  run(*many, requests);
  EXPECT_EQ(num_steps, before);
}

// What comes while there is work, and when all but one engine have ended.
TEST_F(EngineTeamTest, RowsThatComeLateAreTaken) {
  const auto many = team();
  const auto requests = some_requests(24);
  Completions ended;
  size_t at = 0;
  many->generate(
      [&]() -> std::optional<Request> {
        // Two at a time, and the next once those have ended.
        if (at == requests.size() || at >= ended.size() + 2) {
          return std::nullopt;
        }
        return requests[at++];
      },
      [&](Completion completion) {
        ended[completion.key] = std::move(completion);
      });
  expect_same(run(*engine_of(), requests), ended);
  EXPECT_GT(engines_[0]->num_rows, 0);
  EXPECT_GT(engines_[1]->num_rows, 0);
}

TEST_F(EngineTeamTest, ScoresAreSharedAlsoWhileItGenerates) {
  const auto one = engine_of();
  const auto scores = one->score(some_scores(64));
  const auto many = team();
  // Neither goes on alone, however busy the machine is.
  const auto give_up =
      std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (Watched* engine : engines_) {
    engine->before_scores = [this, give_up] {
      while ((engines_[0]->num_scores == 0 || engines_[1]->num_scores == 0) &&
             std::chrono::steady_clock::now() < give_up) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    };
  }
  many->score(some_scores(64));
  for (Watched* engine : engines_) engine->before_scores = {};
  EXPECT_EQ(engines_[0]->num_scores + engines_[1]->num_scores, 64);
  EXPECT_GT(engines_[0]->num_scores, 0);
  EXPECT_GT(engines_[1]->num_scores, 0);
  const auto requests = some_requests(20);
  Completions ended;
  size_t at = 0;
  many->generate(
      [&]() -> std::optional<Request> {
        if (at == requests.size()) return std::nullopt;
        expect_same(scores, many->score(some_scores(64)));
        return requests[at++];
      },
      [&](Completion completion) {
        expect_same(scores, many->score(some_scores(64)));
        ended[completion.key] = std::move(completion);
      });
  expect_same(run(*one, requests), ended);
}

TEST_F(EngineTeamTest, ScoresInPartsGoOnWhileItGenerates) {
  const auto request = [](size_t i) {
    return ScoreRequest{.context_tokens = {int(i)},
                        .continuation_tokens = {std::vector<int>(90, 3)}};
  };
  const auto one = engine_of();
  const auto many = team();
  std::vector<std::unique_ptr<generate::Scoring>> parts;
  for (size_t i = 0; i < 4; ++i) parts.push_back(many->begin_score(request(i)));
  EXPECT_EQ(engines_[0]->num_parts, 2);
  EXPECT_EQ(engines_[1]->num_parts, 2);
  size_t num_ended = 0;
  many->when_stepped([&] {
    if (num_ended == parts.size()) return;
    if (!parts[num_ended]->advance()) return;
    expect_same(one->score({request(num_ended)}), {parts[num_ended]->scores});
    parts[num_ended++].reset();
  });
  const auto requests = some_requests(30);
  expect_same(run(*one, requests), run(*many, requests));
  EXPECT_EQ(num_ended, parts.size());
}

TEST_F(EngineTeamTest, AnErrorOfTheCallerEndsAll) {
  const auto many = team();
  const auto requests = some_requests(30);
  for (const std::string where : {"next", "done", "text"}) {
    size_t at = 0;
    EXPECT_EQ(message_of([&] {
                many->generate(
                    [&]() -> std::optional<Request> {
                      if (where == "next" && at == 9) {
                        throw Error(ErrorKind::kInput, "bad " + where);
                      }
                      Request request = requests.at(at++);
                      request.on_text = [&where](std::string_view) -> bool {
                        if (where != "text") return true;
                        throw Error(ErrorKind::kInput, "bad " + where);
                      };
                      return request;
                    },
                    [&](const Completion&) {
                      if (where != "done") return;
                      throw Error(ErrorKind::kInput, "bad " + where);
                    });
              }),
              "bad " + where);
  }
  expect_same(run(*engine_of(), requests), run(*many, requests));
}

TEST_F(EngineTeamTest, AnErrorOfAnEngineEndsAll) {
  const auto many = team();
  engines_[0]->fails_at = 13;
  engines_[1]->fails_at = 13;
  EXPECT_EQ(message_of([&] { run(*many, some_requests(40)); }),
            "this engine is broken");
  auto bad = some_scores(20);
  bad[11].context.clear();
  EXPECT_EQ(message_of([&] { many->score(bad); }),
            message_of([&] { engine_of()->score(bad); }));
  Request unusual;
  unusual.sampling.temperature = -1;
  EXPECT_EQ(message_of([&] { many->check(unusual); }),
            message_of([&] { engine_of()->check(unusual); }));
}

TEST_F(EngineTeamTest, AnEngineThatCannotBeMadeIsAnError) {
  EXPECT_EQ(message_of([] {
              make_engine_team(std::vector<EnginePlace>(3), [](size_t i) {
                if (i == 1) throw Error(ErrorKind::kResources, "too small");
                return engine_of();
              });
            }),
            "too small");
}

TEST_F(EngineTeamTest, AnInterruptEndsIt) {
  const auto many = team();
  const auto requests = some_requests(60);
  Completions ended;
  size_t at = 0;
  many->generate([&]() -> std::optional<Request> { return requests.at(at++); },
                 [&](Completion completion) {
                   ended[completion.key] = std::move(completion);
                   if (ended.size() == 7) set_interrupted(true);
                 });
  EXPECT_LT(ended.size(), 30);
  EXPECT_EQ(kind_of([&] { many->score(some_scores(4)); }),
            ErrorKind::kInterrupted);
  set_interrupted(false);
  expect_same(run(*engine_of(), requests), run(*many, requests));
}

// Weights are packed once for each node, by threads that are bound to it.
TEST_F(EngineTeamTest, EachNodeHasItsOwnWeightsAndProcessors) {
  const ProcessorNode all = processor_nodes().at(0);
  const int processor = all.processors.front();
  const auto weights = tiny_weights();
  const auto make = [&](size_t) {
    cpu_set_t set;
    EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    EXPECT_EQ(CPU_COUNT(&set), 1);
    EXPECT_TRUE(CPU_ISSET(processor, &set));
    EXPECT_EQ(num_threads(), 3);
    std::mutex mutex;
    std::set<int> threads;
    parallel_for(64, [&](int64_t) {
      cpu_set_t helper;
      EXPECT_EQ(sched_getaffinity(0, sizeof(helper), &helper), 0);
      EXPECT_EQ(CPU_COUNT(&helper), 1);
      const std::lock_guard lock(mutex);
      threads.insert(this_thread());
    });
    EXPECT_LE(*threads.rbegin(), 2);
    return make_engine(weights, std::make_shared<ByteTokenizer>(),
                       kTinyOptions);
  };
  const int before = num_threads();
  const auto bytes = [&](const std::vector<int>& nodes) {
    std::vector<EnginePlace> places;
    places.reserve(nodes.size());
    for (const int node : nodes) places.push_back({node, {processor}, 3});
    const auto many = make_engine_team(places, make);
    EXPECT_EQ(run(*many, some_requests(9)).size(), 9);
    return packed_bytes();
  };
  const int64_t held = packed_bytes();
  const int64_t once = bytes({0}) - held;
  EXPECT_GT(once, 0);
  EXPECT_EQ(bytes({0, 0}) - held, once);
  EXPECT_EQ(bytes({0, 1}) - held, 2 * once);
  EXPECT_EQ(bytes({1, 7, 1}) - held, 2 * once);
  EXPECT_EQ(packed_bytes(), held);
  EXPECT_EQ(num_threads(), before);
  std::thread([before] { EXPECT_EQ(num_threads(), before); }).join();
}

std::string text_of(const std::vector<EnginePlace>& places) {
  std::string all;
  for (const EnginePlace& place : places) {
    all += str(all.empty() ? "" : "; ", "node ", place.node, " x",
               place.num_threads, ":");
    for (const int id : place.processors) all += str(" ", id);
  }
  return all;
}

TEST(EnginePlaces, ANodeEach) {
  const std::vector<ProcessorNode> nodes = {{0, {0, 4, 1, 5}}, {2, {2, 6}}};
  EXPECT_EQ(text_of(engine_places(nodes, 0, 3)),
            "node 0 x2: 0 4 1 5; node 2 x1: 2 6");
  EXPECT_EQ(text_of(engine_places(nodes, 2, 6)),
            "node 0 x4: 0 4 1 5; node 2 x2: 2 6");
}

TEST(EnginePlaces, OrSharesOfAllProcessors) {
  const std::vector<ProcessorNode> nodes = {{0, {0, 4, 1, 5}}, {2, {2, 6}}};
  EXPECT_EQ(text_of(engine_places(nodes, 3, 3)),
            "node 0 x1: 0 4; node 0 x1: 1 5; node 2 x1: 2 6");
  EXPECT_EQ(text_of(engine_places(nodes, 1, 3)), "node 0 x3: 0 4 1 5 2 6");
  EXPECT_EQ(text_of(engine_places({{0, {3}}}, 2, 1)),
            "node 0 x1: 3; node 0 x1: 3");
}

}  // namespace
}  // namespace selfalign::engine
