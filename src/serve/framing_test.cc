// SPDX-License-Identifier: Apache-2.0
// Where a request begins and ends, to the letter of RFC 9112.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/http_body.h"
#include "serve/http_framing.h"
#include "serve/server_fixture.h"

namespace selfalign::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kPost[] =
    "POST /tokenize HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/json\r\n";
constexpr char kChunks[] =
    "5\r\n{\"pro\r\nc;name=\"a b\"\r\nmpt\":\"ab\"}  \r\n0\r\n\r\n";

TEST(HeadScan, EndsWhereTheHeadEnds) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  HeadScan at_once;
  at_once.go_on(head + "GET");
  EXPECT_EQ(at_once.end(), head.size());
  HeadScan slow;
  for (size_t size = 1; size <= head.size(); ++size) {
    EXPECT_EQ(slow.end(), 0u);
    slow.go_on(head.substr(0, size));
    EXPECT_EQ(slow.fault(), "");
  }
  EXPECT_EQ(slow.end(), head.size());
}

// With the first byte that cannot be right, not at a time-out.
TEST(HeadScan, FindsFaultsAsTheyCome) {
  for (const std::string head :
       {"GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nA: b\n", "GET / HTTP/1.1\rH",
        "GET / HTTP/1.1\r\nA: b\r\n ", "GET / HTTP/1.1\r\nA: b\r\n\t",
        "GET / HTTP/1.1\r\nA: \x01", "GET / HTTP/1.1\r\nA: \x7f"}) {
    HeadScan scan;
    scan.go_on(head.substr(0, head.size() - 1));
    EXPECT_EQ(scan.fault(), "") << head;
    scan.go_on(head);
    EXPECT_THAT(scan.fault(), HasSubstr(", found ")) << head;
  }
  HeadScan nul;
  nul.go_on(std::string("GET /\0", 6));
  EXPECT_NE(nul.fault(), "");
}

// However it comes in pieces.
TEST(BodyReader, EndsWhereTheBodyEnds) {
  const std::string chunks =
      "5;a;b = \"\\\" ;\"\r\nabcde\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
  for (size_t step = 1; step <= chunks.size(); ++step) {
    BodyReader body(std::nullopt, 15, 20);
    size_t taken = 0;
    for (const std::string all = chunks + "GET"; !body.is_done();) {
      ASSERT_EQ(body.fault(), std::nullopt);
      const size_t count = body.take(all.substr(taken, step));
      ASSERT_GT(count, 0u);
      taken += count;
    }
    EXPECT_EQ(taken, chunks.size());
    EXPECT_EQ(body.body(), "abcde0123456789");
  }
  BodyReader known(3, 3, 20);
  EXPECT_EQ(known.take("ab"), 2u);
  EXPECT_FALSE(known.is_done());
  EXPECT_EQ(known.take("cde"), 1u);
  EXPECT_EQ(known.body(), "abc");
  EXPECT_TRUE(BodyReader(0, 3, 20).is_done());
}

TEST(BodyReader, FindsFaultsAsTheyCome) {
  const auto status_of = [](const std::string& chunks) {
    BodyReader body(std::nullopt, 15, 20);
    const size_t taken = body.take(chunks + "GET");
    EXPECT_LE(taken, chunks.size()) << chunks;
    return body.fault() ? body.fault()->status : 0;
  };
  EXPECT_EQ(status_of("10\r\n"), 413);
  EXPECT_EQ(status_of("8\r\n12345678\r\n8\r\n"), 413);
  EXPECT_EQ(status_of("ffffffffffffffffff\r\n"), 413);
  EXPECT_EQ(status_of("0\r\n" + std::string(17, 'X')), 431);
  EXPECT_EQ(status_of("0\r\nA: b\r\nC: d\r\nE: ff"), 431);
  for (const char* wrong : {"1;"
                            "aaaaaaaaaaaaaaaaaaaa",
                            "\n",
                            "1\n",
                            "1\rx",
                            "1\x01",
                            "1\r\nab",
                            "1\r\na\n",
                            "1;\r\n",
                            "1 \r\n",
                            "1;a \r\n",
                            "1;a=\r\n",
                            "1;=a\r\n",
                            "1;a=\"b\r\n",
                            "1;a=\"b\\\"\r\n",
                            "1;a=\"b\"c\r\n",
                            "1;a b\r\n",
                            "1;a=b=c\r\n",
                            "1,a\r\n",
                            "1:\r\n",
                            ";a\r\n",
                            "x\r\n"}) {
    EXPECT_EQ(status_of(wrong), 400) << wrong;
  }
}

class FramingTest : public ServerTest {
 protected:
  void expect_refused(const std::string& request) {
    TestClient client(port());
    // What follows must not be taken for a request of its own.
    client.send(request + TestClient::get("/health"));
    const std::string answer = client.receive_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n")) << request;
    EXPECT_THAT(answer, HasSubstr("\r\nConnection: close\r\n")) << request;
    EXPECT_EQ(answer.find("HTTP/1.1 2", 1), std::string::npos) << request;
    EXPECT_NE(answer.find("\"bad_request\""), std::string::npos) << answer;
  }
};

TEST_F(FramingTest, OneChunkedIsTheOnlyTransferEncoding) {
  start();
  EXPECT_EQ(ask(str(kPost, "Transfer-Encoding: chunked\r\n\r\n", kChunks)).body,
            R"({"count":2,"max_model_len":2000,"tokens":[97,98]})");
  EXPECT_EQ(
      ask(str(kPost, "tRANSFER-eNCODING:Chunked  \r\n\r\n", kChunks)).status,
      200);
  for (const char* lines :
       {"Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding:",
        "Transfer-Encoding: ",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunkedx",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked ; a=b",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: chunked\t",
        "Transfer-Encoding: \tchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding: chun\r\n ked",
        "Transfer-Encoding: chunked\r\nContent-Length: 29",
        "Content-Length: 29\r\nTransfer-Encoding: chunked",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Content-Length: 29\r\nTransfer-Encoding: gzip"}) {
    expect_refused(str(kPost, lines, "\r\n\r\n", kChunks));
  }
  expect_refused(
      str("POST /tokenize HTTP/1.0\r\nContent-Type: application/json\r\n"
          "Transfer-Encoding: chunked\r\n\r\n",
          kChunks));
  // Also where no body is expected.
  expect_refused(
      "GET /health HTTP/1.1\r\nHost: localhost\r\n"
      "Transfer-Encoding: identity\r\n\r\n");
}

TEST_F(FramingTest, OneNumberIsTheOnlyContentLength) {
  start();
  const std::string body = R"({"prompt":"ab"})";
  const auto with = [&](const std::string& lines) {
    return str(kPost, lines, "\r\n\r\n", body);
  };
  EXPECT_EQ(ask(with("Content-Length: 15")).status, 200);
  EXPECT_EQ(ask(with("content-length:00015 ")).status, 200);
  for (const char* lines :
       {"Content-Length: 15\r\nContent-Length: 15",
        "Content-Length: 15\r\nContent-Length: 3", "Content-Length: 15, 15",
        "Content-Length: 15,3", "Content-Length: +15", "Content-Length: -15",
        "Content-Length: 1 5", "Content-Length: 15 bytes",
        "Content-Length:", "Content-Length: 0x0f", "Content-Length: 15.0",
        "Content-Length: 1e1", "Content-Length:\t15", "Content-Length : 15",
        "Content-Length: 18446744073709551631",
        "Content-Length: 99999999999999999999999", "Content-Length: \"15\""}) {
    expect_refused(with(lines));
  }
}

TEST_F(FramingTest, LinesAndHosts) {
  start();
  const auto get = [](const std::string& lines) {
    return "GET /health HTTP/1.1\r\n" + lines + "\r\n";
  };
  EXPECT_EQ(ask(get("Host: localhost\r\nA:\r\nB: \t c\td \xe9\r\n")).status,
            200);
  for (const std::string& lines :
       {std::string("Host: localhost\nA: b\r\n"),
        std::string("Host: localhost\r\nA: b\rC: d\r\n"),
        std::string("Host: localhost\r\nA: b\r\n c\r\n"),
        std::string("Host: localhost\r\nA: b\r\n\tc\r\n"),
        std::string("Host: localhost\r\nA : b\r\n"),
        std::string("Host : localhost\r\n"),
        std::string("Host: localhost\r\nA: \0\r\n", 23),
        std::string("Host: localhost\r\n: b\r\n"),
        std::string("Host: localhost\r\nA b\r\n"),
        std::string("Host: localhost\r\nA\x01: b\r\n"),
        std::string("Host: localhost\r\nA(b): b\r\n"), std::string(""),
        std::string("Host: localhost\r\nHost: localhost\r\n"),
        std::string("Host: localhost, localhost\r\n"),
        std::string("Host: a@localhost\r\n"),
        std::string("Host: localhost/\r\n")}) {
    expect_refused(get(lines));
  }
  for (const char* line :
       {"GET  /health HTTP/1.1", "GET /health  HTTP/1.1",
        "GET\t/health HTTP/1.1", "GET /health HTTP/1.1 ", "GET /health",
        "GET /health HTTP/2.0", "GET /health http/1.1", " GET /health HTTP/1.1",
        "G(T /health HTTP/1.1"}) {
    expect_refused(str(line, "\r\nHost: localhost\r\n\r\n"));
  }
  // One empty line is left over from a request before it.
  TestClient client(port());
  EXPECT_EQ(client.ask("\r\n" + TestClient::get("/health")).status, 200);
  EXPECT_EQ(client.ask("\r\n" + TestClient::get("/health")).status, 200);
  expect_refused("\r\n\r\n" + TestClient::get("/health"));
}

TEST_F(FramingTest, ATargetMayNameTheServer) {
  start();
  const auto get = [&](const std::string& target) {
    return ask("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n").status;
  };
  EXPECT_EQ(get("http://localhost:8000/health?a=b"), 200);
  EXPECT_EQ(get("http://127.0.0.1"), 200);
  EXPECT_EQ(get("http://evil.example/health"), 403);
  EXPECT_EQ(get("http://localhost@evil.example/health"), 403);
  EXPECT_EQ(get("*"), 404);
  EXPECT_EQ(get("HTTP://LOCALHOST/health"), 200);
  EXPECT_EQ(get("hTTp://Evil.example/health"), 403);
  for (const char* nobody :
       {"http:///health", "http://", "http://?a=b", "http://:80/health"}) {
    EXPECT_EQ(get(nobody), 400) << nobody;
  }
}

TEST_F(FramingTest, ChunksAreReadToTheLetter) {
  start();
  const std::string head = str(kPost, "Transfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(
      ask(head + "F\r\n{\"prompt\":\"ab\"}\r\n000\r\nA: b\r\n\r\n").status,
      200);
  for (const char* chunks :
       {"g\r\n",
        "\r\n",
        "-1\r\n",
        "+5\r\n",
        "0x5\r\n{\"pro\r\n0\r\n\r\n",
        " 5\r\n{\"pro\r\n0\r\n\r\n",
        "5\n{\"pro\r\n0\r\n\r\n",
        "5\r{\"pro\r\n0\r\n\r\n",
        "5\r\n{\"pro0\r\n\r\n",
        "5\r\n{\"pro\n0\r\n\r\n",
        "5\r\n{\"promp\r\n0\r\n\r\n",
        "5;a\n\r\n{\"pro\r\n0\r\n\r\n",
        "5;a=\"\n\"\r\n{\"pro\r\n0\r\n\r\n",
        "5;a=\"\r\"\r\n{\"pro\r\n0\r\n\r\n",
        "5 5\r\n{\"pro\r\n0\r\n\r\n",
        "10000000000000000f\r\n{\"prompt\":\"ab\"}\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "5,5\r\n{\"pro\r\n0\r\n\r\n",
        "5\r\n{\"pro\r\n0\r\nA b\r\n\r\n",
        "5\r\n{\"pro\r\n0\r\n A: b\r\n\r\n",
        "5\r\n{\"pro\r\n0\nA: b\r\n\r\n"}) {
    TestClient client(port());
    client.send(head + chunks + TestClient::get("/health"));
    client.end_sending();
    const std::string answer = client.receive_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 4")) << chunks;
    EXPECT_EQ(answer.find("HTTP/1.1 2", 1), std::string::npos) << chunks;
  }
}

// What stands behind the last chunk is checked, and counts for nothing.
TEST_F(FramingTest, TrailersAreReadToTheLetterAndDropped) {
  start();
  const auto with = [](const std::string& head, const std::string& trailer) {
    return str(head, "Transfer-Encoding: chunked\r\n\r\nF\r\n",
               "{\"prompt\":\"ab\"}\r\n0\r\n", trailer, "\r\n");
  };
  TestClient client(port());
  for (const char* good : {"", "A: b\r\n", "A:\r\nB: \t c \xe9\r\n",
                           "Connection: close\r\nExpect: 100-continue\r\n",
                           "Content-Type: text/plain\r\n"}) {
    EXPECT_EQ(client.ask(with(kPost, good)).status, 200) << good;
  }
  const std::string untyped = "POST /tokenize HTTP/1.1\r\nHost: localhost\r\n";
  EXPECT_EQ(ask(with(untyped, "Content-Type: application/json\r\n")).status,
            415);
  for (const std::string& wrong :
       {std::string("A: b\n"), std::string("A: b\rc\r\n"),
        std::string("A: b\r\n c\r\n"), std::string(" A: b\r\n"),
        std::string("A: \0\r\n", 6), std::string("A b\r\n"),
        std::string("A : b\r\n"), std::string(": b\r\n"),
        std::string("A(b): c\r\n"), std::string("\xe9: c\r\n"),
        std::string("Host: localhost\r\n"),
        std::string("Content-Length: 15\r\n"),
        std::string("transfer-encoding: chunked\r\n")}) {
    expect_refused(with(kPost, wrong));
  }
  for (const size_t size : {20000, 66000, 1000000}) {
    const HttpAnswer answer =
        ask(with(kPost, "A: " + std::string(size, 'b') + "\r\n"));
    EXPECT_EQ(bad(answer, 431), "headers_too_large") << size;
  }
}

// An answer to HEAD has no body, whatever it says.
TEST_F(FramingTest, ARefusalOfAHeadHasNoBody) {
  http_.header_timeout_s = 0.2;
  start();
  for (const char* rest :
       {"Host: a\r\nHost: b\r\n\r\n", "Host: a\n", "A: b\r\n c", "Host: a"}) {
    TestClient client(port());
    client.send(str("HEAD /health HTTP/1.1\r\n", rest));
    const std::string answer = client.receive_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 40")) << rest;
    EXPECT_EQ(answer.find("\r\n\r\n") + 4, answer.size()) << answer;
  }
}

// A refused client that is still sending gets to read why.
TEST_F(FramingTest, ARefusalIsReadBeforeTheEnd) {
  start();
  for (const char* line :
       {"Transfer-Encoding: gzip", "Content-Length: 8000000000"}) {
    TestClient client(port());
    client.send(str(kPost, line, "\r\n\r\n", std::string(3 << 20, 'a')));
    const HttpAnswer answer = client.receive();
    EXPECT_EQ(answer.status, line[0] == 'T' ? 400 : 413);
    EXPECT_TRUE(client.is_closed());
  }
}

}  // namespace
}  // namespace selfalign::serve
