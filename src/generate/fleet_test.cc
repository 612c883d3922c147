// SPDX-License-Identifier: Apache-2.0
#include "generate/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/testing.h"
#include "generate/fleet_lane.h"
#include "generate/fleet_rows.h"
#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

// A server of the fleet whose state a test changes while it works.
class FleetServer {
 public:
  explicit FleetServer(double delay_s = 0.002)
      : delay_s_(delay_s), server_([this](const TestRequest& request) {
          return answer(request);
        }) {}

  std::string url() const { return server_.url(); }
  int num_rows() const { return num_rows_; }
  int num_scores() const { return num_scores_; }
  int num_prefix(char prefix) {
    const std::lock_guard lock(mutex_);
    return prefixes_[prefix];
  }

  std::atomic<bool> is_down = false;    // ends each connection
  std::atomic<bool> is_silent = false;  // answers rows after an hour
  std::atomic<bool> is_odd = false;     // answers rows with no JSON
  std::atomic<int> rows_status = 200;
  std::atomic<double> logprob = -1.0;  // of every token
  std::atomic<bool> tells = true;      // log-probabilities

 private:
  TestReply answer(const TestRequest& request) {
    if (is_down) return {.hang_up = true};
    if (request.target == "/v1/models") return {.body = kModels};
    if (request.target != "/v1/completions") return {.status = 404};
    const Json body = parse_json(request.body, "request");
    const auto prompt = body.at("prompt").get<std::string>();
    if (body.contains("echo")) {
      ++num_scores_;
      return {.body = score_reply(), .delay_s = is_silent ? 3600.0 : 0.0};
    }
    if (body.contains("logprobs")) {
      return tells ? TestReply{.body = probe_reply()} : answer_prompt(body);
    }
    if (rows_status != 200) {
      return {.status = rows_status, .body = R"({"error":{"message":"no"}})"};
    }
    ++num_rows_;
    {
      const std::lock_guard lock(mutex_);
      ++prefixes_[prompt[0]];
    }
    if (is_odd) return {.body = "<html>"};
    TestReply reply = answer_prompt(body);
    reply.delay_s = is_silent ? 3600 : delay_s_;
    return reply;
  }

  std::string probe_reply() const {
    return dump_json(
        Json{{"choices",
              {{{"text", "a"},
                {"finish_reason", "length"},
                {"logprobs",
                 {{"tokens", {"a"}}, {"token_logprobs", {logprob.load()}}}}}}},
             {"usage", {{"completion_tokens", 1}, {"prompt_tokens", 5}}}});
  }

  std::string score_reply() const {
    return dump_json(
        Json{{"choices",
              {{{"text", "aa"},
                {"logprobs",
                 {{"tokens", {"a", "a"}},
                  {"token_logprobs", {nullptr, logprob.load()}}}}}}}});
  }

  const double delay_s_;
  std::atomic<int> num_rows_ = 0;
  std::atomic<int> num_scores_ = 0;
  std::mutex mutex_;
  std::map<char, int> prefixes_;
  TestServer server_;
};

class FleetTest : public ::testing::Test {
 protected:
  FleetTest() { set_log_level(LogLevel::kError); }
  ~FleetTest() override {
    set_log_level(LogLevel::kInfo);
    set_interrupted(false);
  }

  static FleetOptions options_of(std::vector<std::string> servers) {
    FleetOptions options;
    options.servers = std::move(servers);
    options.num_in_flight = 4;
    options.max_in_flight = 4;
    options.first_rest_s = 0.05;
    options.max_rest_s = 0.1;
    options.open = [](const std::string& address, const LaneContext& lane) {
      RemoteOptions remote;
      remote.model = address;
      remote.api = "completions";
      remote.http.num_in_flight = lane.max_in_flight;
      remote.http.goes_on = lane.goes_on;
      remote.http.max_tries = 2;
      remote.http.max_bad_answers = 1;
      remote.http.first_backoff_s = 0.01;
      remote.http.max_backoff_s = 0.02;
      return make_remote_generator(remote);
    };
    return options;
  }

  // How often each key was pushed with the text that belongs to it; `on_done`
  // gets the number of rows so far.
  static std::map<uint64_t, int> run(
      Generator& fleet, uint64_t num_rows,
      const std::function<void(int)>& on_done = {},
      const std::string& prefixes = "Q") {
    std::map<uint64_t, int> pushed;
    std::vector<std::shared_ptr<const std::string>> shared;
    for (const char c : prefixes) {
      shared.push_back(std::make_shared<const std::string>(1, c));
    }
    uint64_t key = 0;
    fleet.generate(
        [&]() -> std::optional<Request> {
          if (key == num_rows) return std::nullopt;
          Request request;
          request.key = key++;
          request.prefix = shared[request.key % shared.size()];
          request.suffix = std::to_string(request.key);
          return request;
        },
        [&](const Completion& c) {
          EXPECT_EQ(c.text,
                    str("[", prefixes[c.key % prefixes.size()], c.key, "]"));
          ++pushed[c.key];
          if (on_done) on_done(int(pushed.size()));
        });
    return pushed;
  }

  // 600 rows; `server` is down from the 100th to the 300th, and is given time
  // to come back. `on_return` comes before it does.
  static std::map<uint64_t, int> run_with_outage(
      Generator& fleet, FleetServer& server,
      const std::function<void()>& on_return) {
    return run(fleet, 600, [&](int num) {
      if (num == 100) server.is_down = true;
      if (num == 300) {
        on_return();
        server.is_down = false;
      }
      if (num > 300) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    });
  }

  static std::vector<ScoreRequest> score_requests(size_t num) {
    std::vector<ScoreRequest> requests(num);
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i] = {.key = i, .context = "a", .continuations = {"a"}};
    }
    return requests;
  }
  static void expect_scored(Generator& fleet, size_t num) {
    for (const Scores& scores : fleet.score(score_requests(num))) {
      EXPECT_EQ(scores.continuations.at(0).logprobs.size(), 1);
    }
  }

  static void expect_once(const std::map<uint64_t, int>& pushed, size_t num) {
    EXPECT_EQ(pushed.size(), num);
    for (const auto& [key, times] : pushed) EXPECT_EQ(times, 1) << key;
  }
};

TEST_F(FleetTest, EachServerWorksAtItsOwnRate) {
  FleetServer fast(0.005);
  FleetServer slow(0.4);  // by far, also on a busy machine
  const auto fleet = make_fleet(options_of({fast.url(), slow.url()}));
  EXPECT_EQ(fleet->fingerprint(), "remote tiny");
  expect_once(run(*fleet, 400), 400);
  EXPECT_GT(fast.num_rows(), 2 * slow.num_rows());
  EXPECT_GT(slow.num_rows(), 0);
}

TEST_F(FleetTest, RowsOfAServerThatDiesGoToOthersAndItIsTakenBack) {
  FleetServer one;
  FleetServer other;
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  int at_death = 0;
  expect_once(run_with_outage(*fleet, one, [&] { at_death = one.num_rows(); }),
              600);
  EXPECT_GT(one.num_rows(), at_death);
}

TEST_F(FleetTest, AServerThatHangsIsDrained) {
  FleetServer one;
  FleetServer other;
  FleetOptions options = options_of({one.url(), other.url()});
  options.stall_s = 0.3;
  const auto fleet = make_fleet(options);
  one.is_silent = true;
  const auto begin = Clock::now();
  expect_once(run(*fleet, 200), 200);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
  EXPECT_LE(one.num_rows(), 3 * 4);  // some more each time it is tried again
}

TEST_F(FleetTest, RowsThatGetNoAnswerAtOneServerAreAskedAtAnother) {
  FleetServer one;
  FleetServer other;
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  one.is_odd = true;
  expect_once(run(*fleet, 200), 200);
  one.is_odd = false;
  for (const int status : {401, 403, 404, 429, 500, 503}) {
    one.rows_status = status;
    expect_once(run(*fleet, 50), 50);
  }
}

TEST_F(FleetTest, ARowThatNobodyAnswersIsGivenUp) {
  FleetServer one;
  FleetServer other;
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  expect_once(run(*fleet, 20), 20);
  one.is_odd = true;
  other.is_odd = true;
  std::optional<Request> next = Request{.key = 7, .suffix = "x"};
  std::vector<Completion> all;
  fleet->generate([&] { return std::exchange(next, std::nullopt); },
                  [&](Completion c) { all.push_back(std::move(c)); });
  ASSERT_EQ(all.size(), 1);
  EXPECT_EQ(all[0].finish, Finish::kBadAnswer);
}

TEST_F(FleetTest, TheLastRowsAreAskedTwiceAndPushedOnce) {
  FleetServer one;
  FleetServer other;
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  expect_once(run(*fleet, 100), 100);
  one.is_silent = true;  // for less than stall_s
  const auto begin = Clock::now();
  expect_once(run(*fleet, 100), 100);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(FleetTest, AllServersGoneIsAnErrorThatNamesThem) {
  FleetServer one;
  FleetServer other;
  FleetOptions options = options_of({one.url(), other.url()});
  options.patience_s = 0.5;
  const auto fleet = make_fleet(options);
  const std::string message = message_of([&] {
    run(*fleet, 200, [&](int num) {
      if (num == 50) one.is_down = other.is_down = true;
    });
  });
  EXPECT_THAT(message, HasSubstr("servers: expected an answer"));
  EXPECT_THAT(message, HasSubstr(one.url()));
  EXPECT_THAT(message, HasSubstr(other.url()));
}

TEST_F(FleetTest, AtLeastOneServerMustBeThereAtTheBegin) {
  FleetServer one;
  FleetServer down;
  down.is_down = true;
  expect_once(run(*make_fleet(options_of({down.url(), one.url()})), 30), 30);
  one.is_down = true;
  EXPECT_THAT(message_of([&] {
                make_fleet(options_of({down.url(), one.url()}));
              }),
              HasSubstr(one.url()));
  EXPECT_EQ(kind_of([&] { make_fleet(options_of({})); }), ErrorKind::kUsage);
}

TEST_F(FleetTest, AnotherModelAmongThemIsAnErrorWithBothValues) {
  FleetServer one;
  FleetServer other;
  other.logprob = -1.5;
  const auto open = [&] { make_fleet(options_of({one.url(), other.url()})); };
  EXPECT_EQ(kind_of(open), ErrorKind::kUsage);
  EXPECT_THAT(message_of(open), HasSubstr("-1.5"));
  EXPECT_THAT(message_of(open), HasSubstr("-1"));
  other.logprob = -1.05;  // rounding
  open();
}

// A server that comes back with another model gets no rows.
TEST_F(FleetTest, AServerThatComesBackAsAnotherModelIsLeftOut) {
  FleetServer one;
  FleetServer other;
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  int at_return = 0;
  expect_once(run_with_outage(*fleet, one,
                              [&] {
                                one.logprob = -3.0;
                                at_return = one.num_rows();
                              }),
              600);
  EXPECT_EQ(one.num_rows(), at_return);
}

TEST_F(FleetTest, AListInAFileIsReadAgain) {
  FleetServer one;
  FleetServer other;
  const std::string list = ::testing::TempDir() + "/fleet_servers.txt";
  std::ofstream(list) << "# ours\n " << one.url() << "\n\n";
  const auto fleet = make_fleet(options_of({list}));
  int at_change = 0;
  expect_once(run(*fleet, 3000,
                  [&](int num) {
                    if (num == 100) {
                      EXPECT_EQ(other.num_rows(), 0);
                      write_file_atomic(list, other.url() + "\n");
                    }
                    if (num == 2000) at_change = one.num_rows();
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                  }),
              3000);
  EXPECT_GT(other.num_rows(), 500);
  EXPECT_LE(one.num_rows(), at_change + 8);
}

TEST_F(FleetTest, ServersThatAreTakenOutLeaveNoThread) {
  const auto num_threads = [] {
    const std::filesystem::directory_iterator threads("/proc/self/task");
    return std::distance(begin(threads), end(threads));
  };
  FleetServer one;
  const std::string list = ::testing::TempDir() + "/fleet_many.txt";
  std::string many = one.url() + "\n";
  for (int i = 1; i <= 40; ++i) many += str("http://127.0.0.1:1/v1#", i, "\n");
  std::ofstream(list) << many;
  const auto fleet = make_fleet(options_of({list}));
  const auto num_before = num_threads();
  write_file_atomic(list, one.url() + "\n");
  int64_t num_after = num_before;
  run(*fleet, 3000, [&](int) {
    num_after = std::min<int64_t>(num_after, num_threads());
    if (num_after > num_before - 30) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  EXPECT_LE(num_after, num_before - 30);
}

TEST_F(FleetTest, RowsOfAPrefixGoToTheServersThatHadIt) {
  // Slow enough that rows wait for them on a busy machine, too: where none do,
  // a server takes what comes.
  FleetServer one(0.05);
  FleetServer other(0.05);
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  expect_once(run(*fleet, 300, {}, "AB"), 300);
  // Each server has one of them in the main; the rest is what was stolen.
  const auto share = [](FleetServer& server) {
    const int a = server.num_prefix('A');
    const int b = server.num_prefix('B');
    return double(std::max(a, b)) / std::max(1, a + b);
  };
  EXPECT_GT(share(one), 0.6);
  EXPECT_GT(share(other), 0.6);
}

TEST_F(FleetTest, ScoresOfAServerThatFailsAreMadeAtAnother) {
  FleetServer one;
  FleetServer other;
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  const std::vector<ScoreRequest> requests = score_requests(2000);
  std::atomic<bool> is_done = false;
  std::thread death([&] {
    while (one.num_scores() < 50 && !is_done) std::this_thread::yield();
    one.is_down = true;
  });
  const std::vector<Scores> scores = fleet->score(requests);
  is_done = true;
  death.join();
  ASSERT_EQ(scores.size(), requests.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    EXPECT_EQ(scores[i].key, i);
    EXPECT_EQ(scores[i].continuations[0].logprobs, std::vector<float>{-1.0f});
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(fleet->score({requests[0]}).size(), 1);  // whoever takes it
  }
  // What no server answers is lost.
  other.is_down = true;
  const std::vector<Scores> lost = fleet->score({requests[0]});
  EXPECT_EQ(lost.at(0).continuations.at(0).finish, Finish::kBrokenOff);
}

TEST_F(FleetTest, AServerThatHangsAtScoresIsDrained) {
  FleetServer one;
  FleetServer other;
  FleetOptions options = options_of({one.url(), other.url()});
  options.stall_s = 0.3;
  const auto fleet = make_fleet(options);
  expect_once(run(*fleet, 20), 20);
  // The others are at work, or have nothing left to do.
  for (const size_t num_requests : {600, 1}) {
    for (FleetServer* silent : {&one, &other}) {
      silent->is_silent = true;
      expect_scored(*fleet, num_requests);
      silent->is_silent = false;
    }
  }
}

// It is there again each time, since what it is opened by is no score.
TEST_F(FleetTest, AServerThatHangsAtScoresGetsThemEverMoreSeldom) {
  FleetServer one;
  FleetServer other;
  FleetOptions options = options_of({one.url(), other.url()});
  options.stall_s = 0.3;
  const auto fleet = make_fleet(options);
  expect_once(run(*fleet, 20), 20);
  one.is_silent = true;
  for (int i = 0; i < 20; ++i) {
    expect_scored(*fleet, 40);
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
  }
  EXPECT_LE(one.num_scores(), 40);  // 48 where it does not rest from them
}

TEST_F(FleetTest, AnInterruptWhileItScoresIsOne) {
  FleetServer one;
  const auto fleet = make_fleet(options_of({one.url()}));
  one.is_silent = true;
  std::thread person([&] {
    while (one.num_scores() == 0) std::this_thread::yield();
    set_interrupted(true);
  });
  EXPECT_EQ(
      kind_of([&] {
        fleet->score({{.key = 1, .context = "a", .continuations = {"a"}}});
      }),
      ErrorKind::kInterrupted);
  person.join();
}

// One that is known for the model, and one that may be any, in either order.
TEST_F(FleetTest,
       AServerThatTellsNoLogProbabilitiesIsLeftOutBesideOneThatDoes) {
  FleetServer one;
  FleetServer mute;
  mute.tells = false;
  for (const auto& servers : {std::vector{one.url(), mute.url()},
                              std::vector{mute.url(), one.url()}}) {
    const auto fleet = make_fleet(options_of(servers));
    const int before = mute.num_rows();
    expect_once(run(*fleet, 100), 100);
    EXPECT_LE(mute.num_rows(), before + 4);  // before the other was there
  }
  // Where none tells, rows are made all the same.
  one.tells = false;
  expect_once(run(*make_fleet(options_of({one.url(), mute.url()})), 30), 30);
}

TEST_F(FleetTest, SilenceOfAllIsAnError) {
  FleetServer one;
  FleetServer other;
  FleetOptions options = options_of({one.url(), other.url()});
  options.patience_s = 0.5;
  const auto fleet = make_fleet(options);
  one.is_silent = other.is_silent = true;
  EXPECT_THAT(message_of([&] { run(*fleet, 20); }),
              HasSubstr("servers: expected an answer"));
}

TEST_F(FleetTest, AnInterruptEndsIt) {
  FleetServer one;
  FleetServer silent;
  const auto fleet = make_fleet(options_of({one.url(), silent.url()}));
  silent.is_silent = true;
  const auto begin = Clock::now();
  const auto pushed = run(*fleet, 100000, [](int num) {
    if (num == 50) set_interrupted(true);
  });
  EXPECT_LT(pushed.size(), 200);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(FleetTest, TextsThatAreWatchedComeAsTheyEndAndAreDropped) {
  FleetServer one;
  FleetServer other;
  const auto fleet = make_fleet(options_of({one.url(), other.url()}));
  std::string shown;
  std::vector<Request> requests(2);
  requests[0] = {.key = 1, .suffix = "x"};
  requests[0].on_text = [&](std::string_view text) {
    shown += text;
    return true;
  };
  one.is_silent = other.is_silent = false;
  requests[1] = {.key = 2, .suffix = "y"};
  requests[1].on_text = [](std::string_view) { return false; };
  size_t next = 0;
  std::map<uint64_t, Finish> ended;
  fleet->generate(
      [&]() -> std::optional<Request> {
        if (next == requests.size()) return std::nullopt;
        return requests[next++];
      },
      [&](const Completion& c) { ended[c.key] = c.finish; });
  EXPECT_EQ(shown, "[x]");
  EXPECT_EQ(ended.size(), 2);
  EXPECT_EQ(ended.at(1), Finish::kStop);
}

// Rows of two prefixes, in turns: each server keeps to one of them while it
// has rows, and then takes the other's.
TEST(FleetRows, AServerTakesRowsOfThePrefixesThatItHad) {
  FleetRows rows;
  for (uint64_t key = 0; key < 20; ++key) {
    const auto prefix =
        std::make_shared<const std::string>(key % 2 == 0 ? "even" : "odd");
    rows.add({.key = key, .prefix = prefix, .suffix = "x"});
  }
  RecentPrefixes one;
  RecentPrefixes other;
  const auto take = [&rows](int id, RecentPrefixes& own,
                            const RecentPrefixes& others) {
    const FleetRowPtr row = rows.take(id, own, {&others});
    own.add(row->prefix);
    return row->request.key;
  };
  for (uint64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(take(1, one, other), 2 * i);
    EXPECT_EQ(take(2, other, one), 2 * i + 1);
  }
  for (uint64_t key = 12; key < 20; key += 2) {
    EXPECT_EQ(take(1, one, other), key);
  }
  for (uint64_t key = 13; key < 20; key += 2) {
    EXPECT_EQ(take(1, one, other), key);
  }
  EXPECT_EQ(rows.take(1, one, {&other}), nullptr);
}

// A server that does 100 tokens/s for each request up to 40 of them, and no
// more in all beyond.
TEST(FleetWindow, GrowsWhileThatBringsMoreTokens) {
  FleetWindow window(8, 512);
  FleetWindow::Clock::time_point now{};
  for (int i = 0; i < 20000; ++i) {
    const double rate = 100.0 * std::min(window.size(), 40);
    now += std::chrono::duration_cast<FleetWindow::Clock::duration>(
        std::chrono::duration<double>(50.0 / rate));
    window.answered(50, true, now);
  }
  EXPECT_GE(window.size(), 38);
  EXPECT_LE(window.size(), 64);
  window.failed();
  EXPECT_LE(window.size(), 32);
}

}  // namespace
}  // namespace selfalign::generate
