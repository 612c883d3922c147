// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;

std::string events_of(const std::vector<std::string>& pieces,
                      const std::string& finish = "stop") {
  std::string body = ": hello\n\n";
  for (const std::string& piece : pieces) {
    body += "data: " +
            dump_json(Json{
                {"choices", {{{"text", piece}, {"finish_reason", Json()}}}}}) +
            "\r\n\r\n";
  }
  body += "data: " +
          dump_json(
              Json{{"choices", {{{"text", ""}, {"finish_reason", finish}}}}}) +
          "\n\ndata: {\"choices\":[],\"usage\":{\"completion_tokens\":4,"
          "\"prompt_tokens\":3}}\n\ndata: [DONE]\n\n";
  return body;
}

class StreamTest : public RemoteTest {
 protected:
  // The completion of a request whose pieces of text go to pieces_.
  Completion stream(const std::function<bool()>& go_on = {}) {
    Request request;
    request.key = 9;
    request.sampling.stop = {"a", "b", "c", "d", "STOP"};
    request.on_text = [this, go_on](std::string_view piece) {
      if (!piece.empty()) pieces_.emplace_back(piece);
      return !go_on || go_on();
    };
    std::optional<Request> next = request;
    Completion completion;
    make_remote_generator(options())->generate(
        [&] { return std::exchange(next, std::nullopt); },
        [&](Completion c) { completion = std::move(c); });
    std::string all;
    for (const std::string& piece : pieces_) all += piece;
    EXPECT_EQ(all, completion.text);
    return completion;
  }

  std::vector<std::string> pieces_;
};

TEST_F(StreamTest, TextComesAsItIsMade) {
  serve([](const Json&) {
    return TestReply{.body = events_of({"One ", "two S", "T", "", "ill ",
                                        "\xc3\xa9 STO", "P never"}),
                     .pause_s = 0.03};
  });
  const Completion completion = stream();
  EXPECT_EQ(completion.text, "One two STill \xc3\xa9 ");
  EXPECT_EQ(completion.num_tokens, 4);
  EXPECT_EQ(completion.num_prompt_tokens, 3);
  EXPECT_EQ(completion.finish, Finish::kStop);
  EXPECT_EQ(pieces_,
            (std::vector<std::string>{"One ", "two ", "STill ", "\xc3\xa9 "}));
  EXPECT_EQ(bodies().at(0).at("stream"), true);
}

TEST_F(StreamTest, AServerThatDoesNotStreamIsRight) {
  serve([](const Json&) { return TestReply{.body = completion_body("yes")}; });
  EXPECT_EQ(stream().text, "yes");
}

TEST_F(StreamTest, AnAnswerThatBrokeOffGoesOn) {
  int num_tries = 0;
  serve([&](const Json&) {
    TestReply reply{.body = events_of({"One ", "two ", "three"}),
                    .pause_s = 0.02};
    if (++num_tries == 1) reply.missing_bytes = reply.body.size() / 2;
    return reply;
  });
  EXPECT_EQ(stream().text, "One two three");
  EXPECT_EQ(num_tries, 2);
}

TEST_F(StreamTest, AnotherTextAfterABreakIsTheRowsError) {
  int num_tries = 0;
  serve([&](const Json&) {
    TestReply reply{
        .body = events_of({num_tries > 0 ? "Two " : "One ", "two ", "three"}),
        .pause_s = 0.02};
    if (++num_tries == 1) reply.missing_bytes = reply.body.size() / 2;
    return reply;
  });
  const Completion row = stream();
  EXPECT_EQ(row.finish, Finish::kBadAnswer);
  EXPECT_THAT(row.problem, HasSubstr("another text than the one"));
}

TEST_F(StreamTest, BrokenEventsAreTriedAgainAndThenTheRowsError) {
  for (const char* body :
       {"data: {\"choices\":[{\"text\"\n\n", "data: 7\n\n",
        "data: {\"error\":{\"message\":\"out of memory\"}}\n\n",
        "data: {\"choices\":[{\"text\":\"cut o\"}]}\n\n", "data: [DONE]\n\n"}) {
    serve([body](const Json&) { return TestReply{.body = body}; });
    EXPECT_EQ(stream().finish, Finish::kBadAnswer) << body;
    EXPECT_EQ(bodies().size(), 3u);
    forget_bodies();
    pieces_.clear();
  }
}

TEST_F(StreamTest, ACancelledAnswerEndsWithWhatWasShown) {
  serve([](const Json&) {
    return TestReply{.body = events_of(std::vector<std::string>(100, "one ")),
                     .pause_s = 0.01};
  });
  const Completion completion = stream([this] { return pieces_.size() < 3; });
  EXPECT_EQ(completion.finish, Finish::kCancelled);
  EXPECT_EQ(completion.key, 9u);
  EXPECT_LT(completion.text.size(), 200u);
}

// What the standard allows (WHATWG HTML, section 9.2.6): other fields first, a
// byte order mark, empty lines, each end of a line, an event on two lines.
TEST(EventReader, TakesWhatTheStandardAllows) {
  const std::string one = R"(data: {"choices":[{"text":"a b","finish_reason":)"
                          R"(null}]})";
  const std::string last =
      R"(data: {"choices":[{"text":"","finish_reason":"stop"}]})";
  for (const char* begin : {"", "id: 1\nretry: 3\n", "\n\r\n", "\xef\xbb\xbf",
                            ":\n", "event: message\n"}) {
    for (const char* end : {"\n", "\r\n", "\r"}) {
      SCOPED_TRACE(str(begin, "|", end));
      const std::string body = str(begin, one, end, end, last, end, end,
                                   "data: [DONE]", end, end, one, end, end);
      EXPECT_THAT(whole_answer(body), HasSubstr(R"("text":"a b")"));
      EventReader reader;  // byte by byte, as it may come
      std::string text;
      for (const char c : body) text += reader.take({&c, 1});
      EXPECT_THAT(reader.answer(), HasSubstr(R"("text":"a b")"));
      EXPECT_EQ(text, "a b");
    }
  }
  const std::string parts =
      "data: {\"choices\":\ndata: [{\"text\":\"a b\",\n"
      "data: \"finish_reason\":\"stop\"}]}\n\n";
  EXPECT_THAT(whole_answer(parts), HasSubstr(R"("text":"a b")"));
  // Without the empty lines, as some servers have it.
  EXPECT_THAT(whole_answer(one + "\n" + last + "\n"),
              HasSubstr(R"("finish_reason":"stop")"));
  const std::string only =
      R"(data: {"choices":[{"text":"a b","finish_reason":"stop"}]})";
  for (const char* end : {"\n", "\r", "\r\n"}) {
    EXPECT_THAT(whole_answer(only + end), HasSubstr(R"("text":"a b")"));
    // An event that broke off behind the answer's end takes nothing away.
    EXPECT_THAT(whole_answer(str(only, end, end, R"(data: {"choices":[],)")),
                HasSubstr(R"("text":"a b")"));
  }
}

}  // namespace
}  // namespace selfalign::generate
