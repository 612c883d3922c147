// SPDX-License-Identifier: Apache-2.0
// Limits, time-outs and bad clients, over real sockets on a model of bytes.
#include "serve/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "serve/server_fixture.h"

namespace selfalign::serve {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class HttpServerTest : public ServerTest {
 protected:
  void expect_alive() {
    EXPECT_EQ(ask(TestClient::get("/health")).status, 200);
  }
};

TEST_F(HttpServerTest, AConnectionTakesOneRequestAfterAnother) {
  start();
  TestClient client(port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.ask(TestClient::get("/health")).status, 200);
  }
  // Two at once; the answers come in turn.
  client.send(TestClient::get("/health") + TestClient::get("/nothing"));
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(client.receive().status, 404);
  EXPECT_EQ(
      client.ask(TestClient::get("/health", "Connection: close\r\n")).status,
      200);
  EXPECT_TRUE(client.is_closed());
  TestClient old(port());
  EXPECT_EQ(old.ask("GET /health HTTP/1.0\r\n\r\n").status, 200);
  EXPECT_TRUE(old.is_closed());
}

TEST_F(HttpServerTest, OnlyNamesOfThisMachine) {
  start();
  const auto by_host = [&](const std::string& lines) {
    return ask("GET /health HTTP/1.1\r\n" + lines + "\r\n").status;
  };
  EXPECT_EQ(by_host("Host: 127.0.0.1:8000\r\n"), 200);
  EXPECT_EQ(by_host("Host: evil.example\r\n"), 403);
  EXPECT_EQ(by_host("Host: localhost:65536\r\n"), 403);
  EXPECT_EQ(by_host("Host: 127.999.999.999\r\n"), 403);
  EXPECT_EQ(by_host("Host: localhost.evil.example:80\r\n"), 403);
  EXPECT_EQ(by_host(""), 400);
  EXPECT_EQ(by_host("Host: localhost\r\nHost: evil.example\r\n"), 400);
}

TEST_F(HttpServerTest, AKeyIsAskedFor) {
  http_.api_key = "0123456789abcdef";
  start();
  EXPECT_EQ(ask(TestClient::get("/health")).status, 200);
  const HttpAnswer refused = ask(TestClient::get("/v1/models"));
  EXPECT_EQ(bad(refused, 401), "invalid_api_key");
  EXPECT_THAT(refused.head, HasSubstr("WWW-Authenticate: Bearer"));
  const std::string wrong = "Authorization: Bearer 0123456789abcdeF\r\n";
  EXPECT_EQ(ask(TestClient::get("/v1/models", wrong)).status, 401);
  const std::string right = "Authorization: Bearer 0123456789abcdef\r\n";
  EXPECT_EQ(ask(TestClient::get("/v1/models", right)).status, 200);
  EXPECT_EQ(
      ask(TestClient::post("/tokenize", R"({"prompt":"a"})", right)).status,
      200);
}

TEST_F(HttpServerTest, APageOfAnotherSiteCannotPost) {
  start();
  const std::string body = R"({"prompt":"a"})";
  const auto typed = [&](const std::string& type) {
    return ask(str("POST /tokenize HTTP/1.1\r\nHost: localhost\r\n", type,
                   "Content-Length: ", body.size(), "\r\n\r\n", body));
  };
  EXPECT_EQ(typed("Content-Type: text/plain\r\n").status, 415);
  EXPECT_EQ(typed("").status, 415);
  const HttpAnswer good =
      typed("Content-Type: application/json; charset=utf-8\r\n");
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.head.find("Access-Control"), std::string::npos);
}

TEST_F(HttpServerTest, TooMuchIsRefused) {
  http_.max_body_bytes = 1000;
  http_.max_header_bytes = 2000;
  start();
  const auto tokenize = [](size_t size) {
    return TestClient::post(
        "/tokenize", str("{\"prompt\":\"", std::string(size, 'a'), "\"}"));
  };
  EXPECT_EQ(ask(tokenize(900)).status, 200);
  EXPECT_EQ(bad(ask(tokenize(1000)), 413), "body_too_large");
  // Also where the length is not told before; and a client that sends on and
  // on still gets the answer.
  std::string chunks =
      "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 1000; ++i) {
    chunks += "3e8\r\n" + std::string(1000, 'a') + "\r\n";
  }
  EXPECT_EQ(bad(ask(chunks), 413), "body_too_large");
  const std::string line = "X-Long: " + std::string(3000, 'h') + "\r\n";
  EXPECT_EQ(bad(ask(TestClient::get("/health", line)), 431),
            "headers_too_large");
  expect_alive();
}

TEST_F(HttpServerTest, ABodyIsAskedForBeforeItIsSent) {
  start();
  TestClient client(port());
  const std::string body = R"({"prompt":"ab"})";
  client.send(
      str("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
          "application/json\r\nExpect: 100-continue\r\n"
          "Content-Length: ",
          body.size(), "\r\n\r\n"));
  ASSERT_TRUE(client.wait_for("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send(body);
  ASSERT_TRUE(client.wait_for("\"count\":2"));
}

TEST_F(HttpServerTest, WhatIsNoHttpIsRefused) {
  start();
  for (const char* bytes :
       {"\r\n\r\n\r\n\r\n", "hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "GET /\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost localhost\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1"
        "\r\n\r\n",
        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    TestClient client(port());
    client.send(bytes);
    EXPECT_EQ(client.receive().status, 400) << bytes;
    EXPECT_TRUE(client.is_closed());
  }
  expect_alive();
}

// What stands beside the data of a body in chunks is limited, too, and two
// lengths of one body are no request.
TEST_F(HttpServerTest, AFaultyBodyIsRefusedInTime) {
  start();
  const std::string head =
      "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nTransfer-Encoding: chunked\r\n";
  const std::string endless(1 << 20, 'a');
  for (const auto& [rest, status] : std::vector<std::pair<std::string, int>>{
           {"\r\n1;" + endless, 400},
           {"\r\n1\r\na\r\n0\r\nX: " + endless, 431},
           {"Content-Length: 3\r\n\r\n0\r\n\r\n", 400}}) {
    EXPECT_EQ(ask(head + rest).status, status) << rest.substr(0, 40);
  }
  expect_alive();
}

// Who has no key takes no place and no room for a body.
TEST_F(HttpServerTest, WithoutAKeyNoBodyIsRead) {
  http_.api_key = "0123456789abcdef";
  start();
  for (const std::string path : {"/health", "/", "/page.js"}) {
    for (const char* length :
         {"Content-Length: 8000000", "Transfer-Encoding: chunked"}) {
      EXPECT_EQ(
          ask(str("POST ", path, " HTTP/1.1\r\nHost: localhost\r\n",
                  "Content-Type: application/json\r\n", length, "\r\n\r\n"))
              .status,
          401)
          << path << ", " << length;
    }
  }
  expect_alive();
}

TEST_F(HttpServerTest, SlowClientsAreTimedOut) {
  http_.idle_timeout_s = 0.1;
  http_.header_timeout_s = 0.15;
  http_.body_timeout_s = 0.15;
  start();
  TestClient silent(port());
  EXPECT_TRUE(silent.is_closed());  // without a word
  // A byte now and then does not help.
  TestClient slow(port());
  const auto begin = Clock::now();
  std::thread dripping([&] {
    for (int i = 0; i < 50; ++i) {
      slow.send(i == 0 ? "GET /health HTTP/1.1\r\nX: " : "x");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  EXPECT_EQ(bad(slow.receive(), 408), "timeout");
  EXPECT_LT(Clock::now() - begin, std::chrono::milliseconds(450));
  dripping.join();
  TestClient half(port());
  half.send(TestClient::post("/tokenize", R"({"prompt":"a"})").substr(0, 90));
  EXPECT_EQ(bad(half.receive(), 408), "timeout");
  expect_alive();
}

TEST_F(HttpServerTest, ARequestThatTakesTooLongEnds) {
  make_endless();
  http_.request_timeout_s = 0.2;
  start();
  EXPECT_EQ(bad(ask(endless(false)), 504), "timeout");
  EXPECT_TRUE(becomes([] { return ByteModel::num_cancelled == 1; }));
  TestClient stream(port());
  stream.send(endless(true));
  EXPECT_TRUE(stream.is_closed());  // in the middle, without [DONE]
  EXPECT_FALSE(stream.wait_for("[DONE]"));
  EXPECT_TRUE(becomes([] { return ByteModel::num_cancelled == 2; }));
}

// The slot is free again, streamed or not.
TEST_F(HttpServerTest, AClientThatGoesIsCancelled) {
  make_endless();
  model_.num_slots = 1;
  start();
  for (const bool stream : {false, true}) {
    const int before = ByteModel::num_cancelled;
    TestClient client(port());
    client.send(endless(stream));
    if (stream) {
      ASSERT_TRUE(client.wait_for("data: "));
    }
    ASSERT_TRUE(becomes([] { return ByteModel::num_working == 1; }));
    client.close();
    EXPECT_TRUE(
        becomes([&] { return ByteModel::num_cancelled == before + 1; }));
    EXPECT_TRUE(becomes([] { return ByteModel::num_working == 0; }));
  }
  EXPECT_THAT(ask(TestClient::get("/metrics")).body,
              HasSubstr("selfalign_requests_cancelled_total 2\n"));
}

TEST_F(HttpServerTest, AClientThatTakesNothingIsDropped) {
  http_.write_timeout_s = 0.3;
  http_.max_unsent_bytes = 1 << 20;
  model_.script = [](const generate::Request&) {
    return std::string(1000000, 'x');
  };
  start();
  TestClient client(port());
  client.receive_little();
  // Far more events than the sockets' buffers hold; none is read.
  client.send(
      TestClient::post("/v1/completions", dump_json({{"prompt", "a"},
                                                     {"n", 32},
                                                     {"max_tokens", 1900},
                                                     {"stream", true}})));
  EXPECT_TRUE(becomes([&] {
    return ask(TestClient::get("/metrics"))
               .body.find("selfalign_connections 1\n") != std::string::npos;
  }));
  expect_alive();
}

TEST_F(HttpServerTest, TooManyRequestsAreToldToComeBack) {
  make_endless();
  http_.max_requests = 2;
  start();
  TestClient first(port()), second(port());
  first.send(endless(true));
  second.send(endless(true));
  ASSERT_TRUE(first.wait_for("data: ") && second.wait_for("data: "));
  const HttpAnswer refused = ask(endless(false));
  EXPECT_EQ(bad(refused, 503), "overloaded");
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: 1"));
  first.close();
  EXPECT_TRUE(
      becomes([&] { return ask(TestClient::get("/health")).status == 200; }));
}

TEST_F(HttpServerTest, AFullQueueIsToldToComeBack) {
  make_endless();
  model_.num_slots = 1;
  options_.max_queued = 2;
  start();
  TestClient first(port()), second(port());
  first.send(endless(true));
  ASSERT_TRUE(first.wait_for("data: "));
  const Json two{{"prompt", {"a", "b"}}, {"stream", true}};
  second.send(TestClient::post("/v1/completions", dump_json(two)));
  ASSERT_TRUE(second.wait_for("text/event-stream"));
  const HttpAnswer refused = ask(endless(true));
  EXPECT_EQ(bad(refused, 503), "overloaded");
  EXPECT_THAT(refused.head, HasSubstr("Retry-After: 1"));
}

TEST_F(HttpServerTest, IdleConnectionsMakeRoom) {
  http_.max_connections = 4;
  start();
  std::vector<std::unique_ptr<TestClient>> idle;
  idle.reserve(20);
  for (int i = 0; i < 20; ++i) {
    idle.push_back(std::make_unique<TestClient>(port()));
  }
  expect_alive();
  EXPECT_TRUE(idle[0]->is_closed());
}

// So that strangers who are refused cannot keep others out.
TEST_F(HttpServerTest, RefusedConnectionsMakeRoom) {
  http_.max_connections = 3;
  http_.api_key = "0123456789abcdef";
  start();
  std::vector<std::unique_ptr<TestClient>> strangers;
  for (int i = 0; i < 12; ++i) {  // they stay, though they have their answer
    strangers.push_back(std::make_unique<TestClient>(port()));
    EXPECT_EQ(strangers.back()->ask(TestClient::get("/v1/models")).status, 401);
  }
  expect_alive();
}

TEST_F(HttpServerTest, ConnectionsAtWorkDoNotMakeRoom) {
  make_endless();
  http_.max_connections = 2;
  start();
  TestClient first(port()), second(port());
  for (TestClient* client : {&first, &second}) {
    client->send(endless(true));
    ASSERT_TRUE(client->wait_for("data: "));
  }
  EXPECT_EQ(ask(TestClient::get("/health")).status, 503);
}

TEST_F(HttpServerTest, AStopFinishesAnswersAndASecondDoesNot) {
  model_.step_s = 0.005;
  model_.script = [](const generate::Request&) { return std::string(40, 'x'); };
  start();
  TestClient idle(port()), working(port());
  EXPECT_EQ(idle.ask(TestClient::get("/health")).status, 200);
  working.send(endless(false));
  ASSERT_TRUE(becomes([] { return ByteModel::num_working == 1; }));
  server_->stop();
  EXPECT_TRUE(idle.is_closed());
  const HttpAnswer answer = working.receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(std::string(40, 'x')));
  EXPECT_THAT(answer.head, HasSubstr("Connection: close"));
  thread_.join();
  EXPECT_FALSE(TestClient(port()).ask(TestClient::get("/health")).status);
  service_.reset();
  server_.reset();

  make_endless();
  start();
  TestClient endless_one(port());
  endless_one.send(endless(true));
  ASSERT_TRUE(endless_one.wait_for("data: "));
  const auto begin = Clock::now();
  stop();  // twice
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
}

// A thread in one step that takes long ends with the process.
TEST_F(HttpServerTest, ASecondSignalEndsTheProcessWhateverIsAtWork) {
  http_.handle_signals = true;
  std::atomic<bool> is_at_work = false;
  on_encode_ = [&](std::string_view) {
    is_at_work = true;
    std::this_thread::sleep_for(std::chrono::minutes(1));
  };
  const auto stop_by = [&](int num_signals, bool client_stays) {
    start();
    TestClient client(port());
    client.send(TestClient::post("/tokenize", R"({"prompt":"a"})"));
    if (!becomes([&] { return is_at_work.load(); })) std::_Exit(1);
    std::raise(SIGTERM);
    becomes([&] { return !TestClient(port()).connected(); });
    if (!client_stays) client.close();
    if (num_signals > 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      std::raise(SIGTERM);
    }
    std::this_thread::sleep_for(std::chrono::seconds(20));
    std::_Exit(2);
  };
  const auto begin = Clock::now();
  EXPECT_EXIT(stop_by(2, true), testing::ExitedWithCode(75), "");
  EXPECT_EXIT(stop_by(2, false), testing::ExitedWithCode(75), "");
  // Also if only the time for answers at work is over.
  http_.stop_grace_s = 0.2;
  EXPECT_EXIT(stop_by(1, true), testing::ExitedWithCode(0), "");
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
}

TEST_F(HttpServerTest, AnAddressThatIsTakenIsAnError) {
  start();
  HttpOptions options;
  options.port = port();
  EXPECT_THROW(HttpServer(options, *metrics_), Error);
  options.host = "nowhere";
  options.api_key = "0123456789abcdef";
  EXPECT_THROW(HttpServer(options, *metrics_), Error);
  options.host = "0.0.0.0";
  options.api_key.clear();
  EXPECT_THROW(HttpServer(options, *metrics_), Error);
}

// Bad neighbours of the load test: each does one of these again and again.
void misbehave(int port, int kind, std::atomic<bool>& over) {
  const std::string good = TestClient::post(
      "/v1/completions",
      R"({"prompt":"victim","max_tokens":1000,"stream":true})");
  while (!over) {
    TestClient client(port);
    switch (kind % 6) {
      case 0:  // goes in the middle of its stream
        client.send(good);
        client.wait_for("data: ");
        break;
      case 1:  // sends half a request and waits
        client.send(good.substr(0, good.size() / 2));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        break;
      case 2:  // sends noise
        client.send(std::string("\0\xff\r\n\r\nPOST", 10) + good);
        client.receive();
        break;
      case 3:  // asks for what there is not
        client.ask(TestClient::post("/v1/completions",
                                    R"({"prompt":[99999],"n":9999})"));
        break;
      case 4:  // deep JSON
        client.ask(
            TestClient::post("/v1/chat/completions", std::string(100000, '[')));
        break;
      default:  // reads nothing
        for (int i = 0; i < 4; ++i) client.send(good);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

// 64 clients ask one question after another, in all the ways there are, while
// others misbehave: each answer must be the one to its own question.
TEST_F(HttpServerTest, NoAnswerIsLostOrMixedUpAmongBadNeighbours) {
  constexpr int kClients = 64, kRounds = 6;
  model_.num_slots = 16;
  http_.header_timeout_s = 1;
  start();
  std::atomic<bool> over = false;
  std::vector<std::thread> bad_ones;
  bad_ones.reserve(12);
  for (int kind = 0; kind < 12; ++kind) {
    bad_ones.emplace_back([&, kind] { misbehave(port(), kind, over); });
  }
  std::atomic<int> num_right = 0;
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int id = 0; id < kClients; ++id) {
    clients.emplace_back([&, id] {
      TestClient client(port());
      for (int round = 0; round < kRounds; ++round) {
        const std::string prompt = str("client ", id, " round ", round);
        const std::string expected = "echo of " + prompt;
        Json body{{"model", id % 2 == 0 ? "one" : "two"},
                  {"prompt", prompt},
                  {"max_tokens", 200},
                  {"stop", ","},
                  {"stream", round % 3 == 1}};
        if (round % 3 == 2) body["prompt"] = {prompt + "!", prompt};
        const HttpAnswer answer =
            client.ask(TestClient::post("/v1/completions", dump_json(body)));
        std::string text;
        if (round % 3 == 1) {
          for (const Json& event : events(answer)) {
            text += event["choices"][0]["text"].get<std::string>();
          }
        } else {
          text = good(answer)["choices"].back()["text"].get<std::string>();
        }
        EXPECT_EQ(text, expected);
        num_right += text == expected ? 1 : 0;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  over = true;
  for (std::thread& client : bad_ones) client.join();
  EXPECT_EQ(num_right, kClients * kRounds);
  expect_alive();
  // All slots are free again.
  EXPECT_TRUE(becomes([&] {
    const std::string text = ask(TestClient::get("/metrics")).body;
    return text.find("selfalign_rows_working{model=\"one\"} 0\n") !=
               std::string::npos &&
           text.find("selfalign_rows_working{model=\"two\"} 0\n") !=
               std::string::npos;
  }));
}

}  // namespace
}  // namespace selfalign::serve
