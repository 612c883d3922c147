// SPDX-License-Identifier: Apache-2.0
#include "generate/remote_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/testing.h"

namespace selfalign::generate {
namespace {

using ::testing::ElementsAre;

Completion parse(const std::string& body, bool want_logprobs = false,
                 std::vector<std::string> stop = {}) {
  Request request;
  request.key = 7;
  request.suffix = "Why?";
  request.want_logprobs = want_logprobs;
  request.sampling.stop = std::move(stop);
  return completion_of(body, request);
}

TEST(RemoteReply, ReadsTextFinishAndCounts) {
  const Completion completion = parse(
      R"({"choices":[{"text":" Because.","finish_reason":"length"}],
          "usage":{"completion_tokens":3,"prompt_tokens":11}})");
  EXPECT_EQ(completion.key, 7u);
  EXPECT_EQ(completion.text, " Because.");
  EXPECT_EQ(completion.finish, Finish::kLength);
  EXPECT_EQ(completion.num_tokens, 3);
  EXPECT_EQ(completion.num_prompt_tokens, 11);
  EXPECT_TRUE(completion.token_logprobs.empty());
}

TEST(RemoteReply, StopStringsAreAppliedHereToo) {
  const Completion completion = parse(
      R"({"choices":[{"text":"ab\nUser: c","finish_reason":"length",
          "logprobs":{"tokens":["a","b","\nUser",": c"],
          "token_logprobs":[-1,-0.5,-3,-4]}}]})",
      true, {"c", "\nUser:"});
  EXPECT_EQ(completion.text, "ab");
  EXPECT_EQ(completion.finish, Finish::kStop);
  EXPECT_THAT(completion.token_logprobs, ElementsAre(-1.0f, -0.5f));
  EXPECT_DOUBLE_EQ(completion.logprob, -1.5);
}

TEST(RemoteReply, ReadsTheOtherFormOfLogprobs) {
  const Completion completion = parse(
      R"({"choices":[{"text":"ab","finish_reason":"stop","logprobs":
          {"content":[{"id":4,"token":"a","logprob":-1},
                      {"id":5,"token":"b","logprob":-2}]}}]})",
      true);
  EXPECT_THAT(completion.tokens, ElementsAre(4, 5));
  EXPECT_DOUBLE_EQ(completion.logprob, -3.0);
}

// The kind of error that `body` is; none where it is an answer.
std::optional<ErrorKind> error_of(const std::string& body) {
  try {
    parse(body, true);
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

TEST(RemoteReply, WhatMayPassIsToldFromWhatStays) {
  for (const char* body :
       {"", "nonsense", R"({"choices":[]})",
        R"({"error":{"message":"overloaded"}})",
        R"({"choices":[{"text":"a","finish_reason":"abort"}]})"}) {
    EXPECT_EQ(error_of(body), ErrorKind::kFailed) << body;
  }
}

TEST(RemoteReply, AnAnswerWithoutFinishReasonMayBeCut) {
  for (const char* reason :
       {R"("finish_reason":null,)", "", R"("finish_reason":"length",)",
        R"("finish_reason":"content_filter",)",
        R"("finish_reason":"no such word",)"}) {
    const Completion completion = parse(
        str(R"({"error":null,"choices":[{)", reason, R"("text":"Because"}]})"));
    EXPECT_EQ(completion.text, "Because") << reason;
    EXPECT_EQ(completion.finish, Finish::kLength) << reason;
  }
  for (const char* reason : {"stop", "eos", "stop_sequence", "end_turn"}) {
    EXPECT_EQ(parse(str(R"({"choices":[{"text":"a","finish_reason":")", reason,
                        R"("}]})"))
                  .finish,
              Finish::kStop)
        << reason;
  }
}

TEST(RemoteReply, CountsAreEstimatedWhereTheServerTellsNone) {
  for (const char* usage :
       {"", R"(,"usage":null)", R"(,"usage":{})",
        R"(,"usage":{"completion_tokens":null,"prompt_tokens":null})",
        R"(,"usage":{"completion_tokens":"12","prompt_tokens":"a"})",
        R"(,"usage":{"completion_tokens":-1,"prompt_tokens":1e300})",
        R"(,"usage":{"completion_tokens":1073741824,"prompt_tokens":99999})",
        R"(,"usage":"none")"}) {
    const Completion completion =
        parse(str(R"({"choices":[{"text":"seventeen","finish_reason":"stop"}])",
                  usage, "}"));
    EXPECT_EQ(completion.num_tokens, 3) << usage;
    EXPECT_EQ(completion.num_prompt_tokens, 2) << usage;
    EXPECT_TRUE(completion.is_estimated) << usage;
  }
  const Completion counted = parse(
      R"({"choices":[{"text":"a","finish_reason":"stop"}],
          "usage":{"completion_tokens":2.0,"prompt_tokens":9}})");
  EXPECT_EQ(counted.num_tokens, 2);
  EXPECT_FALSE(counted.is_estimated);
}

TEST(RemoteReply, TheTextOfAChatIsItsContentOrItsRefusal) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"content":"Yes."})", "Yes."},
      {R"({"content":null,"refusal":"I will not."})", "I will not."},
      {R"({"content":null})", ""},
      {R"({"role":"assistant"})", ""},
      {R"({"content":"","reasoning_content":"Let me see"})", ""},
      {R"({"content":"Yes.","reasoning_content":"Let me see"})", "Yes."},
      {R"({"content":[{"type":"text","text":"Yes"},"; ",
                      {"type":"thinking","thinking":"hm"},
                      {"type":"reasoning","text":"Let me see."},
                      {"text":"no"},
                      {"type":"output_text","text":"."}],"refusal":null})",
       "Yes; no."},
      {R"({"content":[{"type":"refusal","refusal":"No."}]})", "No."}};
  for (const auto& [message, text] : cases) {
    EXPECT_EQ(parse(str(R"({"choices":[{"finish_reason":"stop","message":)",
                        message, "}]}"))
                  .text,
              text)
        << message;
  }
  for (const char* message :
       {"3", "[]", R"({"content":3})", R"({"content":[3]})"}) {
    EXPECT_EQ(error_of(str(R"({"choices":[{"finish_reason":"stop","message":)",
                           message, "}]}")),
              ErrorKind::kInput)
        << message;
  }
}

TEST(RemoteReply, WhatIsNoJsonIsNamedAtItsPlaceInWordsOfItsOwn) {
  EXPECT_EQ(refusal_of([&] { parse("{\"choices\":[{\"score\":1e999}]}"); },
                       ErrorKind::kFailed),
            "a wrong answer: no readable JSON (line 1, column 22: 1e999)");
}

TEST(RemoteReply, ReadsBytesThatAreNoUtf8) {
  EXPECT_EQ(
      parse("{\"choices\":[{\"text\":\"caf\xe9\",\"finish_reason\":\"stop\"}]}")
          .text,
      "caf\ufffd");
}

TEST(RemoteReply, RefusesWhatTheApiDoesNotPromise) {
  for (const char* body :
       {"[]", "{}", R"({"choices":[3]})", R"({"choices":{"text":"a"}})",
        R"({"choices":[{"finish_reason":"stop"}]})",
        R"({"choices":[{"text":3,"finish_reason":"stop"}]})",
        R"({"choices":[{"text":"a","finish_reason":7}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":[]}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":
            {"tokens":["a","b"],"token_logprobs":[-1]}}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":
            {"tokens":["a"],"token_logprobs":[7]}}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":
            {"content":[3]}}]})"}) {
    EXPECT_EQ(error_of(body), ErrorKind::kInput) << body;
  }
}

// "Water boils" + " at 100": a BOS before it, a token across the border.
constexpr char kEcho[] = R"({"choices":[{"text":"Water boils at 100",
  "finish_reason":"length","logprobs":{
  "tokens":["<s>","Water"," boi","ls at"," 100"],
  "token_logprobs":[null,-5,-2,-1,-0.25],
  "top_logprobs":[null,{"The":-1,"Water":-5},{" boi":-2},{"x":-0.5,"ls at":-1},
                  {" 100":-0.25}]}}]})";

TEST(RemoteReply, ScoresTheContinuationOfAnEcho) {
  const ContinuationScore score = score_of(kEcho, "Water boils", " at 100");
  EXPECT_THAT(score.logprobs, ElementsAre(-1.0f, -0.25f));
  EXPECT_THAT(score.is_greedy, ElementsAre(false, true));
  EXPECT_TRUE(score.tokens.empty());
}

TEST(RemoteReply, AGeneratedTokenIsNotScored) {
  const std::string body =
      R"({"choices":[{"text":"a b c","finish_reason":"length","logprobs":{
          "tokens":["a"," b"," c"],"token_logprobs":[null,-1,-2]}}]})";
  EXPECT_THAT(score_of(body, "a", " b").logprobs, ElementsAre(-1.0f));
}

TEST(RemoteReply, PartsOfCharactersAreFoundByTheirPlace) {
  const std::string body =
      R"({"choices":[{"text":"aé","finish_reason":"length","logprobs":{
          "tokens":["<s>","a","\ufffd","\ufffd"],
          "token_logprobs":[null,-1,-2,-3],"text_offset":[0,3,4,4]}}]})";
  EXPECT_THAT(score_of(body, "a", "é").logprobs, ElementsAre(-2.0f, -3.0f));
}

// Of a server that generates one at least; also one that ends the text, which
// the text does not show.
TEST(RemoteReply, AGeneratedTokenIsNotScoredBesideParts) {
  const auto body_of = [](const std::string& text, const std::string& token) {
    return str(R"({"choices":[{"text":"a)", text,
               R"(","finish_reason":"length","logprobs":{"tokens":["<s>","a",)"
               R"("bytes:\\xc3","bytes:\\xa9",")",
               token,
               R"("],"token_logprobs":[null,-1,-2,-3,-9],)"
               R"("text_offset":[0,3,4,4,5]}}]})");
  };
  for (const std::string& body :
       {body_of("é c", " c"), body_of("é", "</s>"), body_of("éé", "é")}) {
    EXPECT_THAT(score_of(body, "a", "é").logprobs, ElementsAre(-2.0f, -3.0f));
  }
}

TEST(RemoteReply, LogProbabilitiesOfAnotherTextAreRefused) {
  for (const char* lists :
       {R"({"tokens":["q"],"token_logprobs":[-1]})",
        R"({"content":[{"id":1000000000000,"token":" fine answer",)"
        R"("logprob":-1}]})"}) {
    EXPECT_THROW(parse(str(R"({"choices":[{"text":" fine answer",)"
                           R"("finish_reason":"stop","logprobs":)",
                           lists, "}]}"),
                       true),
                 Error)
        << lists;
  }
}

TEST(RemoteReply, AnEchoWithoutThePromptIsRefused) {
  for (const char* body :
       {R"({"choices":[{"text":" c","finish_reason":"length"}]})",
        R"({"choices":[{"text":" c","finish_reason":"length","logprobs":{
            "tokens":[" c"],"token_logprobs":[-1]}}]})",
        R"({"choices":[{"text":"a b","finish_reason":"length","logprobs":{
            "tokens":["x"," y"],"token_logprobs":[null,-1]}}]})"}) {
    EXPECT_THROW(score_of(body, "a", " b"), Error) << body;
  }
}

TEST(RemoteReply, FindsTheServersWords) {
  EXPECT_EQ(error_text(R"({"error":{"message":"no such\nmodel"}})"),
            "no such model");
  EXPECT_EQ(error_text(R"({"detail":"not here"})"), "not here");
  EXPECT_EQ(error_text("<html>"), "<html>");
  EXPECT_LT(error_text(std::string(100000, 'x')).size(), 400u);
  EXPECT_TRUE(
      is_too_long(400, "This model's maximum context length is 2048 tokens."));
  EXPECT_FALSE(is_too_long(500, "context length"));
  EXPECT_TRUE(is_filtered(400, R"({"error":{"code":"content_filter"}})"));
  EXPECT_FALSE(is_filtered(400, "filters are not known"));
  EXPECT_TRUE(is_spent(429, R"({"error":{"code":"insufficient_quota"}})"));
  EXPECT_TRUE(is_spent(429, R"({"error":{"type":"billing_not_active"}})"));
  EXPECT_FALSE(is_spent(200, R"({"error":{"code":"insufficient_quota"}})"));
  EXPECT_FALSE(is_spent(429, R"({"error":"insufficient_quota"})"));
  EXPECT_FALSE(is_spent(429, R"({"error":{"code":429}})"));
  EXPECT_FALSE(is_spent(429, "insufficient_quota"));
  EXPECT_TRUE(lacks_api(404, ""));
  EXPECT_TRUE(lacks_api(400,
                        "not supported in the v1/completions endpoint. Did "
                        "you mean to use v1/chat/completions?"));
  EXPECT_FALSE(lacks_api(400, "max_tokens is too large"));
  const auto models = models_of(
      R"({"data":[{"id":"m","parent":null},{"id":"a","parent":"m"}]})");
  ASSERT_EQ(models.size(), 2);
  EXPECT_EQ(models[0].name + models[1].name, "ma");
  EXPECT_TRUE(!models[0].is_adapter && models[1].is_adapter);
  EXPECT_THROW(models_of(R"({"data":[{}]})"), Error);
}

}  // namespace
}  // namespace selfalign::generate
