// SPDX-License-Identifier: Apache-2.0
// Nobody waits for long because of what another one asks, and a stop ends it
// all. On models of bytes, counting what happens, not timing it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>

#include "base/slices.h"
#include "serve/server_fixture.h"

namespace selfalign::serve {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr size_t kLong = 100 << 10;  // bytes of a text that takes turns

class FairnessTest : public ServerTest {
 protected:
  // Starts a server that waits long for readers. Returns the request for an
  // answer of more than sockets hold.
  std::string start_with_long_answers() {
    http_.write_timeout_s = 300;
    model_.script = [](const generate::Request&) {
      return std::string(1000000, 'x');
    };
    start();
    return TestClient::post("/v1/completions", dump_json({{"prompt", "a"},
                                                          {"n", 16},
                                                          {"max_tokens", 1900},
                                                          {"logprobs", 20}}));
  }

  static std::string tokenize(char letter, size_t size) {
    return TestClient::post("/tokenize",
                            dump_json({{"prompt", std::string(size, letter)}}));
  }

  // A long text is tokenized in slices without an end; each is counted under
  // its letter, and those that were begun and ended.
  void make_tokenizing_endless() {
    on_encode_ = [this](std::string_view text) {
      if (text.size() < kLong) return;
      const Counted counted{num_begun_, num_ended_};
      while (true) {
        end_slice();
        ++num_slices_[static_cast<unsigned char>(text[0])];
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    };
  }
  void expect_quick_answers() {
    for (const char* path : {"/health", "/metrics", "/v1/models",
                             "/v1/models/one", "/", "/tokenizer_info"}) {
      EXPECT_EQ(ask(TestClient::get(path)).status, 200) << path;
    }
    EXPECT_EQ(ask(TestClient::get("/nothing")).status, 404);
  }

  std::atomic<int> num_begun_ = 0, num_ended_ = 0;
  std::array<std::atomic<int>, 256> num_slices_ = {};

 private:
  struct Counted {
    Counted(std::atomic<int>& num_begun, std::atomic<int>& num_ended)
        : ended(num_ended) {
      ++num_begun;
    }
    ~Counted() { ++ended; }
    std::atomic<int>& ended;
  };
};

TEST_F(FairnessTest, APromptThatCannotFitIsNotTokenized) {
  std::atomic<int> num_encoded = 0;
  on_encode_ = [&](std::string_view) { ++num_encoded; };
  start();
  const std::string text(2001, 'a');
  for (const Json& body :
       {Json{{"prompt", text}}, Json{{"prompt", {"a", text}}},
        Json{{"prompt", text}, {"stream", true}},
        Json{{"prompt", text},
             {"echo", true},
             {"logprobs", 1},
             {"max_tokens", 0}}}) {
    EXPECT_EQ(bad(post("/v1/completions", body), 400),
              "context_length_exceeded");
  }
  const Json chat{{"messages", {{{"role", "user"}, {"content", text}}}}};
  const HttpAnswer refused = post("/v1/chat/completions", chat);
  EXPECT_EQ(bad(refused, 400), "context_length_exceeded");
  EXPECT_THAT(refused.body, HasSubstr("found at least 20"));
  EXPECT_EQ(num_encoded, 0);
  // What just fits is served, tokenized once.
  const Json fits{{"prompt", text.substr(1)},
                  {"echo", true},
                  {"logprobs", 0},
                  {"max_tokens", 0}};
  good(post("/v1/completions", fits));
  good(
      post("/v1/completions", {{"prompt", text.substr(2)}, {"max_tokens", 1}}));
  EXPECT_EQ(num_encoded, 2);
}

TEST_F(FairnessTest, WhatIsQuickWaitsForNothing) {
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  std::atomic<int> num_stuck = 0;
  on_encode_ = [&](std::string_view) {
    ++num_stuck;
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return over; });
  };
  start();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(std::make_unique<TestClient>(port()));
    clients.back()->send(tokenize('a', i < 6 ? 10 : kLong));
  }
  EXPECT_TRUE(becomes([&] { return num_stuck == 3; }));  // all threads
  expect_quick_answers();
  {
    const std::lock_guard<std::mutex> lock(mutex);
    over = true;
  }
  changed.notify_all();
  for (auto& client : clients) EXPECT_EQ(client->receive().status, 200);
}

TEST_F(FairnessTest, LongTextsTakeTurnsAndHoldUpNoShortOnes) {
  make_tokenizing_endless();
  start();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}) {
    clients.push_back(std::make_unique<TestClient>(port()));
    clients.back()->send(tokenize(letter, kLong));
  }
  // Four are at work, side by side.
  EXPECT_TRUE(becomes([&] {
    return std::count_if(num_slices_.begin(), num_slices_.end(),
                         [](const auto& count) { return count > 30; }) == 4;
  }));
  EXPECT_EQ(num_begun_, 4);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ask(tokenize('s', 100)).status, 200);
    complete({{"prompt", "a"}, {"max_tokens", 2}});
  }
  expect_quick_answers();
  // What nobody waits for is ended, or not begun.
  for (auto& client : clients) client->close();
  EXPECT_TRUE(becomes([&] { return num_ended_ == num_begun_; }));
  EXPECT_EQ(ask(tokenize('s', kLong - 1)).status, 200);
}

TEST_F(FairnessTest, AStopEndsWhateverIsQueued) {
  http_.stop_grace_s = 0.5;
  make_endless();
  make_tokenizing_endless();
  for (const int num_stops : {1, 2}) {
    num_begun_ = num_ended_ = 0;
    start();
    std::vector<std::unique_ptr<TestClient>> clients;
    const auto add = [&](const std::string& bytes) {
      clients.push_back(std::make_unique<TestClient>(port()));
      clients.back()->send(bytes);
    };
    Json contexts = Json::array();
    for (int i = 0; i < 30; ++i) contexts.push_back(std::string(1900, 'c'));
    for (int i = 0; i < 8; ++i) {
      add(tokenize('a', kLong));
      add(endless(true));
      add(endless(false));
      add(TestClient::post("/v1/completions", dump_json({{"prompt", contexts},
                                                         {"echo", true},
                                                         {"logprobs", 1},
                                                         {"max_tokens", 9}})));
      add(tokenize('a', 100).substr(0, 150));  // its body never comes
      add("GET /health HTTP/1.1\r\nHo");
    }
    ASSERT_TRUE(becomes(
        [&] { return num_begun_ == 4 && ByteModel::num_working == 4; }));
    const auto begin = Clock::now();
    for (int i = 0; i < num_stops; ++i) server_->stop();
    thread_.join();
    service_.reset();
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(8));
    EXPECT_EQ(num_ended_, num_begun_);
    server_.reset();
  }
}

TEST_F(FairnessTest, BodiesOnTheirWayTakePlacesOfTheirOwn) {
  http_.max_requests = 2;
  http_.max_arriving = 3;
  http_.max_connections = 20;
  start();
  const std::string body = R"({"prompt":"ab"})";
  const std::string head =
      str("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
          "application/json\r\nContent-Length: ",
          body.size(), "\r\n\r\n");
  std::vector<std::unique_ptr<TestClient>> slow;
  for (int i = 0; i < 10; ++i) {
    slow.push_back(std::make_unique<TestClient>(port()));
    slow.back()->send(head + "{");
    if (i < 3) continue;
    // The one that is longest on its way makes room.
    EXPECT_EQ(bad(slow[static_cast<size_t>(i - 3)]->receive(), 503),
              "overloaded");
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ask(head + body).status, 200);  // whole: needs no such place
  }
  TestClient apart(port());
  apart.send(head);
  EXPECT_EQ(bad(slow[7]->receive(), 503), "overloaded");
  apart.send(body);
  EXPECT_EQ(apart.receive().status, 200);
  slow[9]->send(body.substr(1));
  EXPECT_EQ(slow[9]->receive().status, 200);
  EXPECT_EQ(ask(TestClient::get("/health")).status, 200);
}

TEST_F(FairnessTest, BytesOfBodiesOnTheirWayAreLimited) {
  http_.max_bodies_bytes = 3000;
  start();
  const auto send = [](TestClient& client, size_t size) {
    client.send(
        str("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            "application/json\r\nContent-Length: ",
            size, "\r\n\r\n{"));
  };
  TestClient first(port()), second(port()), third(port());
  send(first, 1500);
  send(second, 1500);
  send(third, 100);
  EXPECT_EQ(bad(first.receive(), 503), "overloaded");
  second.send("}" + std::string(1498, ' '));
  bad(second.receive(), 400);  // it has no prompt
}

// Of one piece or of many: it is held for those alone who take it.
TEST_F(FairnessTest, AnAnswerOfOnePieceIsDroppedIfNobodyReadsIt) {
  http_.max_unsent_bytes = 1 << 20;
  const std::string request = start_with_long_answers();
  TestClient reads(port());
  const HttpAnswer answer = reads.ask(request);
  EXPECT_EQ(good(answer)["choices"].size(), 16u);
  EXPECT_GT(answer.body.size(), size_t{8} << 20);  // more than sockets hold
  reads.close();
  TestClient client(port());
  client.receive_little();
  client.send(request);
  EXPECT_TRUE(becomes([&] { return metric("selfalign_connections") == 2; }));
  EXPECT_TRUE(becomes([&] { return metric("selfalign_connections") == 1; },
                      std::chrono::seconds(120)));
}

TEST_F(FairnessTest, AnswersThatWaitHaveABoundInCommon) {
  http_.max_all_unsent_bytes = 12 << 20;
  const std::string request = start_with_long_answers();
  // None of them reads; each answer has more than half of the room.
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 1; i <= 3; ++i) {
    clients.push_back(std::make_unique<TestClient>(port()));
    clients.back()->receive_little();
    clients.back()->send(request);
    ASSERT_TRUE(becomes(
        [&] {
          return metric(
                     "selfalign_requests_total{path=\"/v1/completions\","
                     "status=\"200\"}") == i;
        },
        std::chrono::seconds(120)));
    // The one before made room; the last one, and who asks, are there.
    EXPECT_TRUE(becomes([&] { return metric("selfalign_connections") == 2; }));
  }
}

}  // namespace
}  // namespace selfalign::serve
