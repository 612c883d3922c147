#include "generate/remote_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace selfalign::generate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

int one(const std::string&) { return 1; }

Completion parse(const std::string& body, bool want_logprobs = false,
                 std::vector<std::string> stop = {}) {
  Request request;
  request.key = 7;
  request.suffix = "Why?";
  request.want_logprobs = want_logprobs;
  request.sampling.stop = std::move(stop);
  return completion_of(body, request, one);
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

TEST(RemoteReply, RefusesWhatTheApiDoesNotPromise) {
  for (const char* body :
       {"", "nonsense", "[]", "{}", R"({"choices":[]})", R"({"choices":[3]})",
        R"({"choices":{"text":"a"}})",
        R"({"choices":[{"text":3,"finish_reason":"stop"}]})",
        R"({"choices":[{"text":"a","finish_reason":null}]})",
        R"({"choices":[{"text":"a","finish_reason":"abort"}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop"}],
            "usage":{"completion_tokens":-1}})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":[]}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":
            {"tokens":["a","b"],"token_logprobs":[-1]}}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":
            {"tokens":["a"],"token_logprobs":[7]}}]})",
        R"({"choices":[{"text":"a","finish_reason":"stop","logprobs":
            {"content":[3]}}]})"}) {
    EXPECT_THROW(parse(body, true), Error) << body;
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
  EXPECT_THAT(models_of(R"({"data":[{"id":"m"}]})"), ElementsAre("m"));
  EXPECT_THROW(models_of(R"({"data":[{}]})"), Error);
}

}  // namespace
}  // namespace selfalign::generate
