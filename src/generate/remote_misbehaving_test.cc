// SPDX-License-Identifier: Apache-2.0
// Servers that answer wrongly, too much, too slowly or not at all: each row's
// outcome, within bounds of tries, time and bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <sstream>
#include <thread>

#include "base/testing.h"
#include "generate/remote.h"
#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKey[] = "an-example-key-0123456789";

std::string choice(const std::string& members) {
  return R"({"choices":[{)" + members + "}]}";
}

std::string sent(const std::string& head, const std::string& body) {
  return str("HTTP/1.1 ", head, "\r\n\r\n", body);
}

std::string chunk(const std::string& bytes) {
  std::ostringstream out;
  out << std::hex << bytes.size() << "\r\n" << bytes << "\r\n";
  return out.str();
}

std::string bytes_of(uint32_t value, int count) {
  std::string bytes;
  for (; count > 0; --count, value >>= 8) bytes += static_cast<char>(value);
  return bytes;
}

// In one piece that is stored as it is (RFC 1951 and 1952).
std::string gzip_of(const std::string& text) {
  uint32_t sum = ~0U;
  for (const unsigned char c : text) {
    sum ^= c;
    for (int i = 0; i < 8; ++i) sum = (sum >> 1) ^ (0xedb88320U & -(sum & 1U));
  }
  const auto size = static_cast<uint32_t>(text.size());
  return std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff\x01", 11) +
         bytes_of(size, 2) + bytes_of(~size, 2) + text + bytes_of(~sum, 4) +
         bytes_of(size, 4);
}

struct Mode {
  const char* name;
  TestReply reply;
  Finish finish;
  std::string text = {};   // of the row
  std::string found = {};  // in its problem
  int num_asked = 1;
};

class MisbehavingTest : public RemoteTest {
 protected:
  RemoteOptions hasty() const {
    RemoteOptions options = RemoteTest::hasty();
    options.http.timeout_s = 1.0;
    options.http.api_key = kKey;
    return options;
  }

  Completion one(const RemoteOptions& options) {
    Request request;
    request.suffix = "Hello";
    request.sampling.max_new_tokens = 8;
    return complete(options, request);
  }

  void expect(const Mode& mode) {
    SCOPED_TRACE(mode.name);
    forget_bodies();
    serve([&](const Json&) { return mode.reply; });
    const auto began = std::chrono::steady_clock::now();
    const Completion row = one(hasty());
    EXPECT_EQ(finish_name(row.finish), std::string(finish_name(mode.finish)));
    EXPECT_EQ(row.text, mode.text);
    EXPECT_THAT(row.problem, HasSubstr(mode.found));
    EXPECT_EQ(row.problem.empty(), !is_given_up(mode.finish));
    EXPECT_THAT(row.problem, Not(HasSubstr(kKey)));
    EXPECT_LT(row.problem.size(), 700u);
    EXPECT_EQ(bodies().size(), size_t(mode.num_asked));
    EXPECT_LT(std::chrono::steady_clock::now() - began,
              std::chrono::seconds(30));
  }
};

TEST_F(MisbehavingTest, AnAnswerWithOddMembersIsARow) {
  const auto body = [](const std::string& text) {
    return TestReply{.body = text};
  };
  const auto with_usage = [&](const std::string& value) {
    return body(
        R"({"choices":[{"text":"hi","finish_reason":"stop"}],"usage":)" +
        value + "}");
  };
  for (
      const Mode& mode : std::vector<Mode>{
          {"normal", body(completion_body("hi")), Finish::kStop, "hi"},
          {"negative usage",
           with_usage(R"({"prompt_tokens":-5,"completion_tokens":-9})"),
           Finish::kStop, "hi"},
          {"huge usage",
           with_usage(
               R"({"prompt_tokens":9223372036854775807,"completion_tokens":1e300})"),
           Finish::kStop, "hi"},
          {"usage null", with_usage("null"), Finish::kStop, "hi"},
          {"usage of a list", with_usage("[1]"), Finish::kStop, "hi"},
          {"no usage", body(choice(R"("text":"hi","finish_reason":"stop")")),
           Finish::kStop, "hi"},
          {"text null", body(choice(R"("text":null,"finish_reason":"stop")")),
           Finish::kStop, ""},
          {"bytes that are no UTF-8",
           body(choice("\"text\":\"\xff\xfe\",\"finish_reason\":\"stop\"")),
           Finish::kStop, "\xef\xbf\xbd\xef\xbf\xbd"},
          {"control characters",
           body(choice(R"("text":"a\u0000b\u001b[2J","finish_reason":"stop")")),
           Finish::kStop, std::string("a\0b\x1b[2J", 7)},
          {"finish null", body(choice(R"("text":"a","finish_reason":null)")),
           Finish::kLength, "a"},
          {"no finish", body(choice(R"("text":"a")")), Finish::kLength, "a"},
          {"another finish", body(choice(R"("text":"a","finish_reason":"x")")),
           Finish::kLength, "a"},
          {"two answers",
           {.raw =
                sent("200 OK\r\nContent-Length: 50",
                     choice(R"("text":"hi","finish_reason":"stop")") + "  ") +
                sent("200 OK\r\nContent-Length: 2", "{}")},
           Finish::kStop,
           "hi"},
          {"too long",
           {.status = 400, .body = R"({"error":"context length"})"},
           Finish::kNoRoom,
           ""},
      }) {
    expect(mode);
  }
}

TEST_F(MisbehavingTest, WhatIsNoAnswerIsTheRowsError) {
  const auto body = [](const std::string& text) {
    return TestReply{.body = text};
  };
  for (const Mode& mode : std::vector<Mode>{
           {"cut JSON", body(R"({"choices": [)"), Finish::kBadAnswer, "",
            "no readable JSON (line 1, column 14: ", 2},
           {"a page", body("<html>"), Finish::kBadAnswer, "", "JSON", 2},
           {"nothing", body(""), Finish::kBadAnswer, "", "JSON", 2},
           {"null", body("null"), Finish::kBadAnswer, "", "no JSON object"},
           {"deep", body(std::string(500000, '[')), Finish::kBadAnswer, "",
            "JSON", 2},
           {"no text", body(choice(R"("finish_reason":"stop")")),
            Finish::kBadAnswer, "", "neither 'text' nor 'message'"},
           {"a text of 7", body(choice(R"("text":7)")), Finish::kBadAnswer, "",
            "'text'"},
           {"a finish of 5", body(choice(R"("text":"a","finish_reason":5)")),
            Finish::kBadAnswer, "", "'finish_reason'"},
           {"an object of choices", body(R"({"choices":{"0":1}})"),
            Finish::kBadAnswer, "", "no list 'choices'"},
           {"no choice", body(R"({"choices":[]})"), Finish::kBadAnswer, "",
            "no choice", 2},
           {"half a surrogate",
            body(choice(R"("text":"a\ud800b","finish_reason":"stop")")),
            Finish::kBadAnswer, "", "JSON", 2},
           {"an error as answer", body(R"({"error":{"message":"overloaded"}})"),
            Finish::kBadAnswer, "", "overloaded", 2},
           {"compressed unasked",
            {.body = "\x1f\x8b\x08garbage",
            .headers = "Content-Encoding: gzip\r\n"},
            Finish::kBadAnswer,
            "",
            "the content-encoding \"gzip\", which was not asked for, 2 times",
            2},
           {"a number of a million digits",
            body(choice("\"text\":" + std::string(1000000, '1'))),
            Finish::kBadAnswer, "", "JSON", 2},
           {"refused",
            {.status = 400, .body = std::string(1 << 20, 'x')},
            Finish::kRefused,
            "",
            "status 400: xxx"},
           {"refused, key echoed",
            {.status = 422, .body = str("{\"error\":\"for ", kKey, "\"}")},
            Finish::kRefused,
            "",
            "status 422: for [key]"},
           {"all members unknown",
            {.status = 400,
            .body = "repetition_penalty ignore_eos stream_options unknown"},
            Finish::kRefused,
            "",
            "status 400"},
       }) {
    expect(mode);
  }
}

// Nothing that comes is ever decoded, so that nothing can grow in it.
TEST_F(MisbehavingTest, WhatIsCodedUnaskedIsTheRowsError) {
  const std::string good = choice(R"("text":"hi","finish_reason":"stop")");
  const auto coded = [&](const std::string& lines, const std::string& body) {
    return TestReply{.raw = sent("200 OK\r\n" + lines, body)};
  };
  for (const char* coding : {"gzip, chunked", "GZIP,chunked", "chunked, gzip",
                             "gzip, gzip, gzip, chunked", "br, chunked"}) {
    const std::string body = chunk(gzip_of(good)) + "0\r\n\r\n";
    expect({coding, coded(str("Transfer-Encoding: ", coding), body),
            Finish::kBadAnswer, "", "the transfer-encoding \"", 2});
  }
  expect({"in two lines",
          coded("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
                chunk(gzip_of(good)) + "0\r\n\r\n"),
          Finish::kBadAnswer, "", "the transfer-encoding \"gzip\"", 2});
  expect({"to the end", coded("Transfer-Encoding:gzip", gzip_of(good)),
          Finish::kBadAnswer, "", "the transfer-encoding \"gzip\"", 2});
  for (const char* coding : {"gzip", "x-gzip", "br", "zstd", "deflate"}) {
    expect({coding, coded(str("content-encoding: ", coding), good),
            Finish::kBadAnswer, "", "the content-encoding \"", 2});
  }
  for (const char* lines : {"Transfer-Encoding:  Chunked ",
                            "Transfer-Encoding: chunked\r\n"
                            "Content-Encoding: identity"}) {
    expect(
        {lines, coded(lines, chunk(good) + "0\r\n\r\n"), Finish::kStop, "hi"});
  }
}

TEST_F(MisbehavingTest, WhatIsTooLargeOrTooSlowIsTheRowsError) {
  const std::string event =
      "data: " + choice(R"("text":"word ","finish_reason":null)") + "\n\n";
  std::string events;
  for (int i = 0; i < 2000; ++i) events += event;
  const std::string chunked = sent("200 OK\r\nTransfer-Encoding: chunked", "");
  std::string headers = "HTTP/1.1 200 OK\r\n";
  for (const Mode& mode : std::vector<Mode>{
           {"endless",
            {.raw = chunked, .again = chunk(std::string(1 << 20, 'x'))},
            Finish::kTooLarge,
            "",
            "an answer of over 1114112 bytes"},
           {"endless events",
            {.raw = sent("200 OK\r\nContent-Type: text/event-stream\r\n"
                         "Transfer-Encoding: chunked",
                         ""),
            .again = chunk(events)},
            Finish::kTooLarge,
            "",
            "over 1114112 bytes"},
           {"a huge text",
            {.body = choice("\"text\":\"" + std::string(8 << 20, 'x') + "\"")},
            Finish::kTooLarge,
            "",
            "over 1114112 bytes"},
           {"endless headers",
            {.raw = headers, .again = "X: " + std::string(8000, 'y') + "\r\n"},
            Finish::kTooLarge,
            "",
            "over 262144 bytes of headers"},
           {"endless lines behind the body",
            {.raw = chunked + chunk(choice(R"("text":"hi")")) + "0\r\n",
            .again = "T: " + std::string(2000, 'y') + "\r\n"},
            Finish::kTooLarge,
            "",
            "over 262144 bytes of headers"},
           {"endless interim answers",
            {.again = "HTTP/1.1 100 Continue\r\n\r\n"},
            Finish::kTooLarge,
            "",
            "over 262144 bytes of headers"},
           {"drips",
            {.pause_s = 0.02,
            .raw = sent("200 OK\r\nContent-Length: 100000", ""),
            .again = " "},
            Finish::kTimedOut,
            "",
            "timed out",
            3},
           {"headers that drip",
            {.pause_s = 0.02, .raw = "HTTP/1.1 200 OK\r\nX: ", .again = "y"},
            Finish::kTimedOut,
            "",
            "timed out",
            3},
           {"nothing, ever",
            {.delay_s = 30},
            Finish::kTimedOut,
            "",
            "timed out",
            3},
       }) {
    expect(mode);
  }
}

TEST_F(MisbehavingTest, AllTriesOfARowHaveTheirTime) {
  serve([](const Json&) { return TestReply{.delay_s = 30}; });
  RemoteOptions options = hasty();
  options.http.timeout_s = 0.2;
  options.http.max_total_s = 0.7;
  options.http.max_tries = 1000;
  EXPECT_EQ(one(options).finish, Finish::kTimedOut);
  EXPECT_LE(bodies().size(), 4u);
}

TEST_F(MisbehavingTest, AConnectionThatBreaksOffIsTheRowsError) {
  for (const Mode& mode : std::vector<Mode>{
           {"closes", {.hang_up = true}, Finish::kBrokenOff, "", "2 times", 2},
           {"too short",
            {.body = completion_body("hi"), .missing_bytes = 9},
            Finish::kBrokenOff,
            "",
            "2 times",
            2},
           {"HTTP/0.9",
            {.raw = choice(R"("text":"a","finish_reason":"stop")")},
            Finish::kBrokenOff,
            "",
            "HTTP/0.9",
            2},
           {"a chunk of 2^64 bytes",
            {.raw = sent("200 OK\r\nTransfer-Encoding: chunked",
                         "ffffffffffffffff\r\nxxxx")},
            Finish::kBrokenOff,
            "",
            "2 times",
            2},
           {"status 99",
            {.raw = sent("099 X\r\nContent-Length: 0", "")},
            Finish::kBrokenOff,
            "",
            "",
            2},
           {"status 700",
            {.status = 700},
            Finish::kBrokenOff,
            "",
            "status 700",
            2},
       }) {
    expect(mode);
  }
}

TEST_F(MisbehavingTest, AServerThatFailsAtEverythingEndsTheWork) {
  for (const auto& [reply, found] :
       std::vector<std::pair<TestReply, std::string>>{
           {{.status = 500, .body = "\x1b[31mboom"},
            "found status 500:  [31mboom"},
           {{.status = 429, .headers = "Retry-After: 999999999\r\n"},
            "found status 429 that asks for a wait of 999999999 s in 3 tries"},
           {{.status = 503, .headers = "Retry-After: -5\r\n"}, "status 503"},
           {{.status = 307, .headers = "Location: file:///etc/passwd\r\n"},
            "a redirect (status 307), which is not followed"},
           {{.status = 301, .headers = "Location: http://u:p@127.0.0.1/\r\n"},
            "a redirect (status 301)"},
           {{.status = 401, .body = str("no ", kKey)},
            "found status 401: no [key]"},
           {{.status = 404, .body = "gone"}, "found status 404: gone"}}) {
    serve([&, reply = reply](const Json&) { return reply; });
    RemoteOptions impatient = hasty();
    impatient.http.max_total_s = 0.5;
    const std::string error = error_of(impatient);
    EXPECT_THAT(error, HasSubstr(found));
    EXPECT_THAT(error, Not(HasSubstr("u:p")));
    EXPECT_THAT(error, Not(HasSubstr(kKey)));
  }
}

TEST_F(MisbehavingTest, OtherRowsGoOn) {
  serve([](const Json& body) {
    const auto prompt = body.at("prompt").get<std::string>();
    const int number = std::stoi(prompt.substr(1));
    if (number % 4 == 1) return TestReply{.body = "{}"};
    if (number % 4 == 2) return TestReply{.status = 500, .body = "bad luck"};
    if (number % 16 == 3) return TestReply{.status = 429, .body = "slowly"};
    return answer_prompt(body);
  });
  RemoteOptions options = hasty();
  options.http.first_backoff_s = 0.05;
  options.http.timeout_s = 60;
  const auto rows = run(options, 40);
  ASSERT_EQ(rows.size(), 40u);
  for (const auto& [key, row] : rows) {
    EXPECT_EQ(row.finish, key % 4 == 1    ? Finish::kBadAnswer
                          : key % 4 == 2  ? Finish::kServerError
                          : key % 16 == 3 ? Finish::kRefused
                                          : Finish::kStop)
        << key;
  }
}

TEST_F(MisbehavingTest, ManyInARowWithoutAnAnswerEndTheWork) {
  serve([](const Json&) { return TestReply{.body = "{}"}; });
  int num_done = 0;
  const auto generator = make_remote_generator(hasty());
  uint64_t key = 0;
  const Error error = selfalign::error_of([&] {
    generator->generate(
        [&]() -> std::optional<Request> {
          Request request;
          request.key = key++;
          return request;
        },
        [&](const Completion&) { ++num_done; });
  });
  EXPECT_EQ(error.kind(), ErrorKind::kFailed);
  EXPECT_THAT(error.what(), HasSubstr("none to 16 requests in a row"));
  EXPECT_EQ(num_done, 0);  // nothing to store: they are asked again
  EXPECT_LE(bodies().size(), 20u);
}

TEST_F(MisbehavingTest, TheApiIsFoundOutBesideAServerThatDrips) {
  serve([](const Json& body) {
    if (bool(body.at("max_tokens") == 1)) {
      return TestReply{.pause_s = 0.02, .again = " "};
    }
    return answer_prompt(body);
  });
  RemoteOptions unknown = hasty();
  unknown.api = "auto";
  EXPECT_EQ(one(unknown).text, "[Hello]");
}

TEST_F(MisbehavingTest, ListsOfModels) {
  const auto error_with = [&](TestReply reply) {
    server_ = std::make_unique<TestServer>(
        [reply = std::move(reply)](const TestRequest&) { return reply; });
    RemoteOptions patient = hasty();
    patient.http.timeout_s = 60;
    return error_of(patient);
  };
  EXPECT_THAT(
      error_with({.raw = sent("200 OK\r\nTransfer-Encoding: chunked", ""),
                  .again = chunk(std::string(1 << 20, 'x'))}),
      HasSubstr("/models: expected an answer, found an answer of over"));
  EXPECT_THAT(error_with({.body = R"({"data":[{"id":"a"},{"id":7}]})"}),
              HasSubstr("expected a list of models"));
  EXPECT_THAT(error_with({.status = 302,
                          .headers = "Location: http://169.254.169.254/\r\n"}),
              HasSubstr("a redirect (status 302), which is not followed"));
  EXPECT_THAT(
      error_with({.status = 401,
                  .body = str(R"({"error":{"message":"key )", kKey, R"("}})")}),
      HasSubstr("found status 401: key [key]; set SELFALIGN_REMOTE_KEY"));
}

TEST_F(MisbehavingTest, ScoresThatAreNone) {
  const auto error_with = [&](const std::string& logprobs) {
    serve([&](const Json&) {
      return TestReply{.body =
                           choice(R"("text":"a b c","logprobs":)" + logprobs)};
    });
    return selfalign::error_of([&] {
      make_remote_generator(hasty())->score(
          {{.key = 1, .context = "a b", .continuations = {" c"}}});
    });
  };
  std::string tokens = R"("a")", values = "-1";
  for (int i = 0; i < 200000; ++i) {
    tokens += R"(,"a")";
    values += ",-1";
  }
  for (const std::string& logprobs : std::vector<std::string>{
           R"({"tokens":["a"]})",
           R"({"tokens":["a","b"],"token_logprobs":[-1]})",
           R"({"tokens":[1,null],"token_logprobs":["x",{}],"top_logprobs":5})",
           R"({"tokens":["hi"],"token_logprobs":[NaN]})",
           R"({"tokens":["hi"],"token_logprobs":[5.0]})",
           R"({"content":[{"token":5},7]})", "[1,2]", "null",
           str(R"({"tokens":[)", tokens, R"(],"token_logprobs":[)", values,
               "]}")}) {
    const Error error = error_with(logprobs);
    EXPECT_EQ(error.kind(), ErrorKind::kFailed);
    EXPECT_THAT(std::string(error.what()).substr(0, 400),
                HasSubstr("expected "))
        << logprobs.substr(0, 80);
  }
}

TEST_F(MisbehavingTest, AnInterruptEndsEveryWaitAtOnce) {
  for (const TestReply& reply :
       {TestReply{.status = 429, .headers = "Retry-After: 100\r\n"},
        TestReply{.delay_s = 30},
        TestReply{.pause_s = 0.02,
        .raw = sent("200 OK\r\nContent-Length: 9999", ""),
        .again = " "}}) {
    serve([&](const Json&) { return reply; });
    const auto generator = make_remote_generator(options());
    std::thread stop([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      set_interrupted(true);
    });
    const auto began = std::chrono::steady_clock::now();
    std::optional<Request> next = Request{.key = 1, .suffix = "Q"};
    generator->generate([&] { return std::exchange(next, std::nullopt); },
                        [](const Completion&) { ADD_FAILURE(); });
    EXPECT_LT(std::chrono::steady_clock::now() - began,
              std::chrono::milliseconds(1300));
    stop.join();
    set_interrupted(false);
  }
}

TEST_F(MisbehavingTest, AKeyInAnAnswerIsInNoRow) {
  for (const char* form : {kKey, "an-example\\u002dkey-0123456789",
                           "YW4tZXhhbXBsZS1rZXktMDEyMzQ1Njc4OQ"}) {
    serve([&](const Json&) {
      return TestReply{.body = choice(str("\"text\":\"it is ", form, "\""))};
    });
    EXPECT_THAT(one(hasty()).text, ::testing::StartsWith("it is [key]"))
        << form;
  }
  // In pieces of a stream.
  serve([](const Json&) {
    std::string body;
    for (const char* piece : {"it is an-exam", "ple-key-01234", "56789."}) {
      body += "data: " + choice(str("\"text\":\"", piece, "\"")) + "\n\n";
    }
    return TestReply{.body = body + "data: [DONE]\n\n", .pause_s = 0.01};
  });
  Request request;
  std::string shown;
  request.on_text = [&](std::string_view piece) {
    shown += piece;
    return true;
  };
  EXPECT_EQ(complete(hasty(), request).text, "it is [key].");
  EXPECT_EQ(shown, "it is [key].");
}

}  // namespace
}  // namespace selfalign::generate
