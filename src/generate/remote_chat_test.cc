// SPDX-License-Identifier: Apache-2.0
// A remote model that speaks only chat.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/testing.h"
#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;

std::string chat_body(const std::string& text) {
  return dump_json(
      Json{{"choices",
            {{{"message", {{"role", "assistant"}, {"content", text}}},
              {"finish_reason", "stop"}}}},
           {"usage", {{"completion_tokens", 4}, {"prompt_tokens", 11}}}});
}

class RemoteChatTest : public RemoteTest {
 protected:
  RemoteChatTest() {
    hello_.suffix = "### User\nHello\n\n";
    hello_.messages = {{"user", "Hello"}};
  }

  void serve_chat(std::function<TestReply(const Json&)> on_chat) {
    serve(std::move(on_chat), "/chat/completions");
  }
  RemoteOptions with_api(const std::string& api) const {
    RemoteOptions result = options();
    result.api = api;
    return result;
  }

  Request hello_;
};

TestReply answer_hello(const Json& body) {
  return {.body = chat_body(
              "Re: " +
              body.at("messages").back().at("content").get<std::string>())};
}

TEST_F(RemoteChatTest, AutoFindsTheApiThatTheServerHas) {
  serve_chat(answer_hello);
  const Completion completion = complete(with_api("auto"), hello_);
  EXPECT_EQ(completion.text, "Re: Hello");
  EXPECT_EQ(completion.num_tokens, 4);
  EXPECT_EQ(completion.num_prompt_tokens, 11);
  EXPECT_FALSE(completion.is_estimated);
  EXPECT_EQ(targets(), (std::vector<std::string>{
                           "/v1/models", "/v1/completions",
                           "/v1/chat/completions", "/v1/chat/completions"}));
  const auto generator = make_remote_generator(with_api("auto"));
  EXPECT_EQ(generator->fingerprint(), "remote tiny, chat");
  EXPECT_TRUE(generator->chats_only());

  serve(answer_prompt);
  const auto text = make_remote_generator(with_api("auto"));
  EXPECT_EQ(text->fingerprint(), "remote tiny");
  EXPECT_FALSE(text->chats_only());
}

TEST_F(RemoteChatTest, AutoReadsARefusalThatNamesTheOtherApi) {
  server_ = std::make_unique<TestServer>([](const TestRequest& request) {
    if (request.target == "/v1/models") return TestReply{.body = kModels};
    if (request.target == "/v1/completions") {
      return TestReply{
          .status = 400,
          .body = R"({"error":{"message":"This is a chat model and not )"
                  R"(supported in the v1/completions endpoint."}})"};
    }
    // A model that refuses the probe's max_tokens speaks this API all the same.
    return TestReply{.status = 400,
                     .body = R"({"error":{"message":"Unsupported parameter: )"
                             R"('max_tokens'"}})"};
  });
  EXPECT_EQ(make_remote_generator(with_api("auto"))->fingerprint(),
            "remote tiny, chat");
}

TEST_F(RemoteChatTest, AModelThatServesNeitherIsAskedForText) {
  serve([](const Json&) { return TestReply{.status = 404}; }, "/nothing");
  EXPECT_EQ(make_remote_generator(with_api("auto"))->fingerprint(),
            "remote tiny");
}

TEST_F(RemoteChatTest, OneAnswerTeachesWhatAllRequestsLeaveOut) {
  int num_refused = 0;
  serve_chat([&](const Json& body) {
    for (const char* name : {"max_tokens", "temperature", "seed"}) {
      if (!body.contains(name)) continue;
      ++num_refused;
      return TestReply{
          .status = 400,
          .body = str(R"({"error":{"message":"Unsupported parameter: ')", name,
                      R"(' is not supported with this model. Use )",
                      R"('max_completion_tokens'"}})")};
    }
    return answer_hello(body);
  });
  RemoteOptions one = with_api("chat");
  one.http.num_in_flight = 1;
  one.http.first_backoff_s = 30;  // what is learned costs no wait
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(run(one, 5).size(), 5u);
  EXPECT_EQ(num_refused, 3);
  EXPECT_EQ(bodies().size(), 8u);
  EXPECT_EQ(bodies().back().at("max_completion_tokens"), 256);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

TEST_F(RemoteChatTest, ManyInFlightLearnTogether) {
  serve_chat([&](const Json& body) {
    if (!body.contains("temperature")) return answer_hello(body);
    return TestReply{.status = 400,
                     .body = "'temperature' is not supported",
                     .delay_s = 0.01};
  });
  EXPECT_EQ(run(with_api("chat"), 12).size(), 12u);
}

TEST_F(RemoteChatTest, AnAnswerWithoutChoicesIsTriedAgainAFewTimes) {
  int num_asked = 0;
  serve_chat([&](const Json& body) {
    return ++num_asked < 3 ? TestReply{.body = R"({"choices":[]})"}
                           : answer_hello(body);
  });
  EXPECT_EQ(complete(with_api("chat"), hello_).text, "Re: Hello");
  num_asked = -10;
  const Completion none = complete(with_api("chat"), hello_);
  EXPECT_EQ(none.finish, Finish::kBadAnswer);
  EXPECT_THAT(none.problem, HasSubstr("no choice"));
}

TEST_F(RemoteChatTest, TextIsHandedOnAsItIsMade) {
  serve_chat([](const Json& body) {
    EXPECT_EQ(body.at("stream"), true);
    return TestReply{
        .body =
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\","
            "\"content\":\"\"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}"
            "\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"Good \"}}]}\n\n"
            "data: {\"choices\":[{\"delta\":{\"content\":\"day\"},"
            "\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
            "data: {\"choices\":[],\"usage\":{\"completion_tokens\":3,"
            "\"prompt_tokens\":5}}\n\ndata: [DONE]\n\n"};
  });
  std::string shown;
  hello_.on_text = [&](std::string_view piece) {
    shown += piece;
    return true;
  };
  const Completion completion = complete(with_api("chat"), hello_);
  EXPECT_EQ(shown, "Good day");
  EXPECT_EQ(completion.text, "Good day");
  EXPECT_EQ(completion.num_tokens, 3);
  EXPECT_EQ(completion.finish, Finish::kStop);
}

TEST_F(RemoteChatTest, AStreamThatNobodyAskedForIsRead) {
  serve_chat([](const Json& body) {
    EXPECT_FALSE(body.contains("stream"));
    return TestReply{.body =
                         "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},"
                         "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"};
  });
  EXPECT_EQ(complete(with_api("chat"), hello_).text, "Hi");
}

TEST_F(RemoteChatTest, WhatAChatCannotDoIsSaid) {
  serve_chat(answer_hello);
  const auto generator = make_remote_generator(with_api("chat"));
  Request ids;
  ids.prompt_tokens = {1, 2};
  EXPECT_THROW(generator->check(ids), Error);
  EXPECT_THAT(
      message_of([&] {
        generator->score({{.key = 1, .context = "a", .continuations = {"b"}}});
      }),
      HasSubstr("an API of chats alone"));
}

}  // namespace
}  // namespace selfalign::generate
