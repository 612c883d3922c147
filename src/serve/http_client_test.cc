// SPDX-License-Identifier: Apache-2.0
// What clients may count on: that their end is seen, and how they are answered
// in it; methods; places.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/server_fixture.h"

namespace selfalign::serve {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpClientTest : public ServerTest {};

// Its rows leave the batch though it sent more before it went, and though what
// it sent fills all room there is for it.
TEST_F(HttpClientTest, AClientThatGoesAfterMoreBytesIsCancelled) {
  make_endless();
  start();
  int num_gone = 0;
  for (const bool stream : {false, true}) {
    for (const size_t more : {1u, 1000u, 300000u}) {
      TestClient client(port());
      client.send(endless(stream));
      ASSERT_TRUE(becomes([] { return ByteModel::num_working == 1; }));
      client.send(std::string(more, 'G'));
      client.close();
      ++num_gone;
      EXPECT_TRUE(becomes([&] { return ByteModel::num_cancelled == num_gone; }))
          << stream << ", " << more;
      EXPECT_TRUE(becomes([] { return ByteModel::num_working == 0; }));
    }
  }
  EXPECT_THAT(
      ask(TestClient::get("/metrics")).body,
      HasSubstr(str("selfalign_requests_cancelled_total ", num_gone, "\n")));
}

// Who has said all that it has to say still gets its answers, whole and in
// order.
TEST_F(HttpClientTest, AClientThatEndsSendingGetsItsAnswers) {
  model_.step_s = 0.01;
  model_.script = [](const generate::Request& request) {
    return request.suffix + std::string(150, 'x');
  };
  start();
  for (const bool stream : {false, true}) {
    TestClient client(port());
    const auto request = [&](const char* prompt) {
      return TestClient::post(
          "/v1/completions",
          dump_json(
              {{"prompt", prompt}, {"max_tokens", 150}, {"stream", stream}}));
    };
    client.send(request("first") + request("second"));
    client.end_sending();
    for (const std::string prompt : {"first", "second"}) {
      const HttpAnswer answer = client.receive();
      EXPECT_THAT(answer.head, StartsWith("HTTP/1.1 200 OK\r\n"));
      EXPECT_THAT(answer.body, HasSubstr(stream ? "[DONE]" : prompt + "xxx"));
    }
    EXPECT_TRUE(client.is_closed());
  }
  EXPECT_EQ(ByteModel::num_cancelled, 0);
  TestClient old(port());
  old.send("GET /health HTTP/1.0\r\n\r\n");
  old.end_sending();
  EXPECT_EQ(old.receive().status, 200);
}

// It said all that it has to say, waited for a while, and went.
TEST_F(HttpClientTest, AClientThatEndsSendingAndGoesIsCancelled) {
  make_endless();
  start();
  for (const bool stream : {false, true}) {
    TestClient client(port());
    client.send(endless(stream));
    client.end_sending();
    ASSERT_TRUE(becomes([] { return ByteModel::num_working == 1; }));
    ASSERT_TRUE(client.wait_for("H"));  // of the answer's head
    const int before = ByteModel::num_cancelled;
    client.close();
    EXPECT_TRUE(
        becomes([&] { return ByteModel::num_cancelled == before + 1; }));
  }
}

TEST_F(HttpClientTest, HeadIsAnsweredAsGetWithoutTheBody) {
  start();
  for (const std::string path :
       {"/health", "/v1/models", "/v1/models/one", "/v1/models/none", "/",
        "/page.js", "/page.css", "/tokenizer_info", "/nothing"}) {
    TestClient client(port());
    const HttpAnswer get = client.ask(TestClient::get(path));
    client.send("HEAD " + path +
                " HTTP/1.1\r\nHost: localhost\r\n\r\n"
                "HEAD /health HTTP/1.1\r\nHost: localhost\r\n"
                "Connection: close\r\n\r\n");
    const std::string both = client.receive_all();
    EXPECT_THAT(both, StartsWith(get.head + "\r\nHTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(both, EndsWith("\r\n\r\n"));
  }
  // Of numbers that change the head alone can be compared in part.
  TestClient client(port());
  client.send(
      "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string head = client.receive_all();
  EXPECT_THAT(head, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4"));
  EXPECT_EQ(head.find("\r\n\r\n"), head.size() - 4);
  EXPECT_EQ(head.find("Content-Length: 0\r\n"), std::string::npos);
}

TEST_F(HttpClientTest, OtherMethodsAreToldWhichThereAre) {
  start();
  for (const std::string path :
       {"/health", "/metrics", "/v1/models", "/", "/v1/models/one",
        "/v1/completions", "/v1/chat/completions", "/tokenize"}) {
    const bool is_post =
        path.find("comple") != std::string::npos || path == "/tokenize";
    for (const std::string method :
         {"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO", "get",
          is_post ? "GET" : "POST", is_post ? "HEAD" : "post"}) {
      TestClient client(port());
      client.send(method + " " + path +
                  " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
      const std::string answer = client.receive_all();
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"))
          << method << path;
      EXPECT_THAT(answer, HasSubstr(is_post ? "\r\nAllow: POST\r\n"
                                            : "\r\nAllow: GET, HEAD\r\n"));
    }
  }
}

// A place among the requests at work is for what may take long.
TEST_F(HttpClientTest, QuickAnswersNeedNoPlace) {
  make_endless();
  http_.max_requests = 1;
  start();
  TestClient first(port());
  first.send(endless(true));
  ASSERT_TRUE(first.wait_for("data: "));
  EXPECT_EQ(bad(ask(endless(false)), 503), "overloaded");
  for (const char* path : {"/health", "/metrics", "/v1/models", "/"}) {
    EXPECT_EQ(ask(TestClient::get(path)).status, 200);
  }
}

// What has not arrived is not waited for.
TEST_F(HttpClientTest, AStopRefusesWhatIsOnItsWay) {
  start();
  TestClient half(port()), body(port());
  half.send("GET /health HT");
  const std::string whole = TestClient::post("/tokenize", R"({"prompt":"a"})");
  body.send(whole.substr(0, whole.size() - 3));
  EXPECT_EQ(ask(TestClient::get("/health")).status, 200);
  server_->stop();
  EXPECT_EQ(bad(half.receive(), 503), "stopping");
  EXPECT_EQ(bad(body.receive(), 503), "stopping");
  thread_.join();
}

}  // namespace
}  // namespace selfalign::serve
