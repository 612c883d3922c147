// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_body.h"

#include <gtest/gtest.h>

#include "base/log.h"

namespace selfalign::generate {
namespace {

class RemoteBodyTest : public ::testing::Test {
 protected:
  RemoteBodyTest() {
    set_log_level(LogLevel::kError);
    request_.suffix = "Why?";
    request_.messages = {{"system", "Be brief."},
                         {"user", "Hello"},
                         {"assistant", "Yes?"},
                         {"user", "Why?"}};
    request_.sampling.temperature = 0;
  }
  ~RemoteBodyTest() override { set_log_level(LogLevel::kInfo); }

  Json body() { return parse_json(chat_.write(request_), "body"); }
  bool learn(const std::string& refusal) {
    return chat_.learn(chat_.write(request_), refusal);
  }

  Request request_;
  RemoteBody chat_{"tiny", RemoteApi::kChat};
};

TEST_F(RemoteBodyTest, MessagesAreAskedAsAChat) {
  EXPECT_EQ(body(), parse_json(
                        R"({"model":"tiny","messages":[
            {"role":"system","content":"Be brief."},
            {"role":"user","content":"Hello"},
            {"role":"assistant","content":"Yes?"},
            {"role":"user","content":"Why?"}],
            "max_tokens":256,"temperature":0.0,"seed":0})",
                        "expected"));
  request_.want_logprobs = true;
  request_.num_top_logprobs = 3;
  EXPECT_EQ(body()["logprobs"], true);
  EXPECT_EQ(body()["top_logprobs"], 3);
}

TEST_F(RemoteBodyTest, ATextToGoOnWithIsTheUsersTurn) {
  request_.messages.clear();
  request_.prefix = std::make_shared<const std::string>("List:\n");
  const Json messages = body()["messages"];
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0]["role"], "system");
  EXPECT_EQ(messages[1]["content"], "List:\nWhy?");
}

TEST_F(RemoteBodyTest, MembersThatAModelRefusesAreLeftOut) {
  request_.sampling.top_p = 0.9;
  request_.sampling.stop = {"\n"};
  EXPECT_TRUE(learn(
      R"({"error":{"message":"Unsupported value: 'temperature' does not support )"
      R"(0 with this model. Only the default (1) value is supported."}})"));
  EXPECT_FALSE(body().contains("temperature"));
  EXPECT_TRUE(body().contains("top_p"));
  EXPECT_TRUE(learn("`temperature` and `top_p` cannot both be specified"));
  EXPECT_FALSE(body().contains("top_p"));
  EXPECT_TRUE(learn("Unsupported parameter: 'stop' is not supported"));
  EXPECT_FALSE(body().contains("stop"));
  EXPECT_FALSE(learn("Unsupported parameter: 'stop' is not supported"));
}

TEST_F(RemoteBodyTest, AValueOutOfRangeIsNoMemberRefused) {
  EXPECT_FALSE(learn("temperature: must be at most 1"));
  EXPECT_FALSE(learn("max_tokens is too large: this model supports 4096"));
  EXPECT_FALSE(learn("Unknown stop_reason"));
  EXPECT_TRUE(body().contains("temperature"));
}

TEST_F(RemoteBodyTest, TheOtherNameOfTheLengthIsLearned) {
  const std::string first = chat_.write(request_);
  const std::string refusal =
      "Unsupported parameter: 'max_tokens' is not supported with this model. "
      "Use 'max_completion_tokens' instead.";
  EXPECT_TRUE(chat_.learn(first, refusal));
  EXPECT_EQ(body()["max_completion_tokens"], 256);
  EXPECT_FALSE(body().contains("max_tokens"));
  // A body that was sent before goes again.
  EXPECT_TRUE(chat_.learn(first, refusal));
}

TEST_F(RemoteBodyTest, ASystemMessageGoesBeforeTheFirstTurn) {
  EXPECT_TRUE(learn("System role not supported"));
  const Json messages = body()["messages"];
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0]["content"], "Be brief.\n\nHello");
  EXPECT_EQ(messages[2]["content"], "Why?");
}

TEST(RemoteAddressTest, AnEndpointSaysTheApi) {
  const RemoteAddress chat = parse_remote_address(
      "https://host/v1/chat/completions/#gpt", RemoteApi::kAuto);
  EXPECT_EQ(chat.base, "https://host/v1");
  EXPECT_EQ(chat.model, "gpt");
  EXPECT_EQ(chat.api, RemoteApi::kChat);
  const RemoteAddress text =
      parse_remote_address("http://host/v1/completions", RemoteApi::kAuto);
  EXPECT_EQ(text.base, "http://host/v1");
  EXPECT_EQ(text.api, RemoteApi::kCompletions);
  EXPECT_EQ(parse_remote_address("http://host/v1", RemoteApi::kChat).api,
            RemoteApi::kChat);
  EXPECT_THROW(
      parse_remote_address("http://host/v1/completions", RemoteApi::kChat),
      std::exception);
}

}  // namespace
}  // namespace selfalign::generate
