// SPDX-License-Identifier: Apache-2.0
#include "serve/api_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ctime>

#include "base/error.h"
#include "serve/api_error.h"

namespace selfalign::serve {
namespace {

using ::testing::ElementsAre;

CompletionAsk completion(const std::string& body) {
  return parse_completion(body, {});
}
ChatAsk chat(const std::string& body) { return parse_chat(body, {}); }

// The member that the error names.
template <typename Parse>
std::string refused(Parse parse, const std::string& body) {
  try {
    parse(body);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_NE(std::string(error.what()), "");
    return error.param().empty() ? error.code() : error.param();
  }
  return "accepted";
}

TEST(ApiRequestTest, ACompletionWithEverything) {
  const CompletionAsk ask = completion(R"({
    "model": "m", "prompt": "Hi", "n": 2, "max_tokens": 7, "temperature": 0.5,
    "top_p": 0.9, "stop": ["a", "b"], "seed": 5, "echo": true, "logprobs": 3,
    "stream": true, "stream_options": {"include_usage": true},
    "frequency_penalty": 0.25, "logit_bias": {"3": -100, "4": 1.5},
    "presence_penalty": 0, "user": "u", "ignore_eos": true,
    "repetition_penalty": 1.1, "best_of": null})");
  EXPECT_EQ(ask.model, "m");
  ASSERT_EQ(ask.prompts.size(), 1u);
  EXPECT_EQ(ask.prompts[0].text, "Hi");
  EXPECT_FALSE(ask.is_list);
  EXPECT_EQ(ask.n, 2);
  EXPECT_EQ(ask.max_tokens, 7);
  EXPECT_EQ(ask.sampling.temperature, 0.5);
  EXPECT_EQ(ask.sampling.top_p, 0.9);
  EXPECT_THAT(ask.sampling.stop, ElementsAre("a", "b"));
  EXPECT_EQ(ask.seed, 5u);
  EXPECT_TRUE(ask.echo);
  EXPECT_EQ(ask.num_top_logprobs, 3);
  EXPECT_TRUE(ask.stream && ask.include_usage);
  EXPECT_THAT(ask.sampling.ngram_penalty, ElementsAre(0.25));
  EXPECT_TRUE(std::isinf(ask.sampling.logit_bias.at(3)));
  EXPECT_EQ(ask.sampling.logit_bias.at(4), 1.5);
  EXPECT_EQ(ask.sampling.repetition_penalty, 1.1);
  EXPECT_TRUE(ask.sampling.ban_eos);
}

TEST(ApiRequestTest, TheFourKindsOfPrompts) {
  EXPECT_THAT(completion(R"({"prompt": [1, 2]})").prompts[0].tokens,
              ElementsAre(1, 2));
  const CompletionAsk texts = completion(R"({"prompt": ["a", ""]})");
  ASSERT_EQ(texts.prompts.size(), 2u);
  EXPECT_TRUE(texts.is_list);
  EXPECT_EQ(texts.prompts[1].text, "");
  const CompletionAsk lists = completion(R"({"prompt": [[1], [2, 3]]})");
  ASSERT_EQ(lists.prompts.size(), 2u);
  EXPECT_THAT(lists.prompts[1].tokens, ElementsAre(2, 3));
  EXPECT_FALSE(completion(R"({"prompt": "a"})").seed.has_value());
  EXPECT_EQ(completion(R"({"prompt": "a", "seed": 18446744073709551615})").seed,
            UINT64_MAX);
  EXPECT_EQ(completion(R"({"prompt": "a", "seed": -1})").seed, UINT64_MAX);
  EXPECT_EQ(completion(R"({"prompt": "a", "seed": -9223372036854775808})").seed,
            uint64_t{1} << 63);
}

TEST(ApiRequestTest, RefusesByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "invalid_json"},
      {"[]", "invalid_json"},
      {"{", "invalid_json"},
      {R"({"prompt": "a", "prompt": "b"})", "invalid_json"},
      {"{}", "prompt"},
      {R"({"prompt": []})", "prompt"},
      {R"({"prompt": 1})", "prompt"},
      {R"({"prompt": [1, "a"]})", "prompt"},
      {R"({"prompt": [[1], "a", {}]})", "prompt"},
      {R"({"prompt": [[]]})", "prompt"},
      {R"({"prompt": [-1]})", "prompt"},
      {R"({"prompt": [1.5]})", "prompt"},
      {R"({"prompt": [99999999999]})", "prompt"},
      {R"({"prompt": "a", "n": 0})", "n"},
      {R"({"prompt": "a", "n": 257})", "n"},
      {R"({"prompt": ["a", "b"], "n": 200})", "prompt"},
      {R"({"prompt": "a", "max_tokens": -1})", "max_tokens"},
      {R"({"prompt": "a", "max_tokens": 1.5})", "max_tokens"},
      {R"({"prompt": "a", "max_tokens": 18446744073709551615})", "max_tokens"},
      {R"({"prompt": "a", "temperature": -0.1})", "temperature"},
      {R"({"prompt": "a", "temperature": "hot"})", "temperature"},
      {R"({"prompt": "a", "top_p": 0})", "top_p"},
      {R"({"prompt": "a", "top_p": 1.01})", "top_p"},
      {R"({"prompt": "a", "stop": ""})", "stop"},
      {R"({"prompt": "a", "stop": [1]})", "stop"},
      {R"({"prompt": "a", "logprobs": 21})", "logprobs"},
      {R"({"prompt": "a", "logprobs": true})", "logprobs"},
      {R"({"prompt": "a", "seed": "x"})", "seed"},
      {R"({"prompt": "a", "seed": -9223372036854775809})", "seed"},
      {R"({"prompt": "a", "seed": 1.5})", "seed"},
      {R"({"prompt": "a", "seed": 18446744073709551616})", "seed"},
      {R"({"prompt": "a", "stream": 1})", "stream"},
      {R"({"prompt": "a", "stream_options": {"include_usage": true}})",
       "stream_options"},
      {R"({"prompt": "a", "stream_options": []})", "stream_options"},
      {R"({"prompt": "a", "logit_bias": {"x": 1}})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": {"1": 101}})", "logit_bias"},
      {R"({"prompt": "a", "logit_bias": []})", "logit_bias"},
      {R"({"prompt": "a", "frequency_penalty": 3})", "frequency_penalty"},
      {R"({"prompt": "a", "presence_penalty": 0.5})", "presence_penalty"},
      {R"({"prompt": "a", "best_of": 2})", "best_of"},
      {R"({"prompt": "a", "suffix": "z"})", "suffix"},
      {R"({"prompt": "a", "top_k": 5})", "top_k"},
      {R"({"prompt": "a", "colour": 1})", "colour"},
      {R"({"prompt": "a", "model": 1})", "model"},
  };
  for (const auto& [body, param] : cases) {
    EXPECT_EQ(refused(completion, body), param) << body;
  }
}

// What clients send whether or not they mean anything by it.
TEST(ApiRequestTest, WhatChangesNothingPasses) {
  const char* both[] = {
      R"("service_tier": "auto")",
      R"("service_tier": "default")",
      R"("store": false)",
      R"("presence_penalty": 0.0)",
      R"("best_of": 1)",
      R"("n": 2, "best_of": 2)",
      R"("stream_options": {})",
      R"("stream_options": {"include_usage": false})",
      R"("stream": true, "stream_options": {"include_usage": null,
                                            "include_obfuscation": false})",
      R"("stream": true, "stream_options": {"include_obfuscation": true})",
      R"("prompt_cache_options": {"mode": "explicit", "ttl": "30m"})",
      R"("web_search_options": {})",
      R"("safety_identifier": "u", "prompt_cache_key": "k")",
      R"("metadata": {"a": "b"})",
      R"("logit_bias": {})",
      R"("stop": [])",
      R"("stop_token_ids": [])",
      R"("skip_special_tokens": true)",
      R"("length_penalty": 1.0)",
      R"("min_p": 0.0, "top_k": -1)",
      R"("response_format": {"type": "text", "json_schema": null})",
      R"("cache_prompt": true)",
      R"("no_such_member": null)"};
  for (const char* members : both) {
    EXPECT_EQ(refused(completion, str(R"({"prompt": "a", )", members, "}")),
              "accepted")
        << members;
    EXPECT_EQ(refused(chat, str(R"({"messages": [{"role": "user",
                                                  "content": "x"}], )",
                                members, "}")),
              "accepted")
        << members;
  }
  const char* of_chats[] = {
      R"("parallel_tool_calls": true)",
      R"("tools": [], "tool_choice": "auto")",
      R"("functions": [], "function_call": "none")",
      R"("modalities": ["text"], "reasoning_effort": "none")",
      R"("verbosity": "medium", "echo": false, "add_special_tokens": false)",
      R"("add_generation_prompt": true, "continue_final_message": false)",
      R"("chat_template_kwargs": {"enable_thinking": null})"};
  for (const char* members : of_chats) {
    EXPECT_EQ(refused(chat, str(R"({"messages": [{"role": "user",
                                                  "content": "x"}], )",
                                members, "}")),
              "accepted")
        << members;
  }
  EXPECT_EQ(refused(completion, R"({"prompt": "a", "suffix": "",
                                    "add_special_tokens": true})"),
            "accepted");
}

// Null is absence for every member there is, whatever else it may be.
TEST(ApiRequestTest, NullPassesForEveryMemberOfOpenAi) {
  const char* names[] = {"audio",
                         "best_of",
                         "echo",
                         "frequency_penalty",
                         "function_call",
                         "functions",
                         "logit_bias",
                         "logprobs",
                         "max_completion_tokens",
                         "max_tokens",
                         "metadata",
                         "modalities",
                         "model",
                         "moderation",
                         "n",
                         "parallel_tool_calls",
                         "prediction",
                         "presence_penalty",
                         "prompt_cache_key",
                         "prompt_cache_options",
                         "prompt_cache_retention",
                         "prompt_logprobs",
                         "reasoning_effort",
                         "response_format",
                         "safety_identifier",
                         "seed",
                         "service_tier",
                         "stop",
                         "store",
                         "stream",
                         "stream_options",
                         "suffix",
                         "temperature",
                         "tool_choice",
                         "tools",
                         "top_logprobs",
                         "top_p",
                         "user",
                         "verbosity",
                         "web_search_options"};
  for (const char* name : names) {
    EXPECT_EQ(
        refused(completion, str(R"({"prompt": "a", ")", name, R"(": null})")),
        "accepted")
        << name;
    EXPECT_EQ(refused(chat, str(R"({"messages": [{"role": "user",
                                                  "content": "x"}], ")",
                                name, R"(": null})")),
              "accepted")
        << name;
  }
}

TEST(ApiRequestTest, WhatWouldChangeTheAnswerIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("service_tier": "flex")", "service_tier"},
      {R"("n": 2, "best_of": 3)", "best_of"},
      {R"("stop_token_ids": [1])", "stop_token_ids"},
      {R"("skip_special_tokens": false)", "skip_special_tokens"},
      {R"("length_penalty": 0.5)", "length_penalty"},
      {R"("tool_choice": "required")", "tool_choice"},
      {R"("parallel_tool_calls": 1)", "parallel_tool_calls"},
      {R"("modalities": ["text", "audio"])", "modalities"},
      {R"("audio": {"voice": "x"})", "audio"},
      {R"("reasoning_effort": "high")", "reasoning_effort"},
      {R"("add_generation_prompt": false)", "add_generation_prompt"},
      {R"("chat_template_kwargs": {"a": 1})", "chat_template_kwargs"},
      {R"("response_format": {"type": "json_object"})", "response_format"},
      {R"("user": 5)", "user"},
      {R"("prompt_cache_options": "x")", "prompt_cache_options"},
      {R"("web_search_options": {"search_context_size": "low"})",
       "web_search_options"},
      {R"("stream": true, "stream_options": {"include_obfuscation": 1})",
       "stream_options"},
  };
  for (const auto& [members, name] : cases) {
    EXPECT_EQ(refused(chat, str(R"({"messages": [{"role": "user",
                                                  "content": "x"}], )",
                                members, "}")),
              name);
  }
}

// Looked up one by one, so many names would take minutes.
TEST(ApiRequestTest, ManyMembersTakeNoTime) {
  std::string members = "\"0\": 0";
  for (int i = 1; i < 300000; ++i) members += str(", \"", i, "\": 0");
  const std::clock_t begin = std::clock();
  EXPECT_EQ(refused(completion, "{\"prompt\": \"a\", " + members + "}"), "0");
  completion("{\"prompt\": \"a\", \"metadata\": {" + members + "}}");
  EXPECT_LT(std::clock() - begin, 20 * CLOCKS_PER_SEC);
}

TEST(ApiRequestTest, AChat) {
  const ChatAsk ask = chat(R"({"messages": [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "a"},
                                 {"type": "text", "text": "b"}]},
    {"role": "assistant", "content": "c", "refusal": null, "tool_calls": []},
    {"role": "user", "content": [{"type": "text", "text": "d",
       "prompt_cache_breakpoint": {"mode": "explicit"}}]},
    {"role": "assistant", "content": null, "refusal": "No."},
    {"role": "user", "content": "d", "name": null, "annotations": []}],
    "max_completion_tokens": 9, "logprobs": true, "top_logprobs": 2,
    "response_format": {"type": "text"}, "tools": []})");
  ASSERT_EQ(ask.messages.size(), 6u);
  EXPECT_EQ(ask.messages[4].text, "No.");
  EXPECT_EQ(ask.messages[0].role, "system");
  EXPECT_EQ(ask.messages[1].text, "ab");
  EXPECT_EQ(ask.max_tokens, 9);
  EXPECT_EQ(ask.num_top_logprobs, 2);
}

TEST(ApiRequestTest, RefusesChatsByName) {
  const char* bad_messages[] = {
      R"(null)",
      R"([])",
      R"(["hi"])",
      R"([{"role": "user"}])",
      R"([{"role": "user", "content": 1}])",
      R"([{"role": "user", "content": []}])",
      R"([{"role": "user", "content": [{"type": "image_url"}]}])",
      R"([{"role": "user", "content": "x", "name": "me"}])",
      R"([{"role": "user", "content": "x"},
          {"role": "assistant", "content": "y", "refusal": "no"},
          {"role": "user", "content": "x"}])",
      R"([{"role": "user", "content": null, "refusal": "no"}])",
      R"([{"role": "user", "content": "x"},
          {"role": "assistant", "content": null, "refusal": 5},
          {"role": "user", "content": "x"}])",
      R"([{"role": "user", "content": [{"type": "text", "text": "x",
                                        "colour": "red"}]}])",
      R"([{"role": "tool", "content": "x"}])",
      R"([{"role": "assistant", "content": "x"}])",
      R"([{"role": "system", "content": "x"}])",
      R"([{"role": "user", "content": "x"}, {"role": "user", "content": "y"}])",
      R"([{"role": "user", "content": "x"},
          {"role": "assistant", "content": "y"}])",
      R"([{"role": "user", "content": "x"},
          {"role": "assistant", "content": "", "tool_calls": [1]},
          {"role": "user", "content": "x"}])",
      R"([{"role": "user", "content": "x"},
          {"role": "system", "content": "y"}])",
  };
  for (const char* messages : bad_messages) {
    EXPECT_EQ(refused(chat, str("{\"messages\": ", messages, "}")), "messages")
        << messages;
  }
  const std::string good = R"("messages": [{"role": "user", "content": "x"}])";
  EXPECT_EQ(refused(chat, "{" + good + "}"), "accepted");
  EXPECT_EQ(refused(chat, "{" + good + R"(, "top_logprobs": 1})"),
            "top_logprobs");
  EXPECT_EQ(refused(chat, "{" + good + R"(, "max_tokens": 0})"), "max_tokens");
  EXPECT_EQ(refused(chat, "{" + good + R"(, "logprobs": 3})"), "logprobs");
  EXPECT_EQ(refused(chat, "{" + good + R"(, "tools": [{}]})"), "tools");
  EXPECT_EQ(
      refused(chat, "{" + good + R"(, "response_format": {"type": "json"}})"),
      "response_format");
  EXPECT_EQ(refused(chat, "{" + good + R"(, "echo": true})"), "echo");
}

TEST(ApiRequestTest, TokenizeAndDetokenize) {
  const auto tokenize = [](const std::string& body) {
    return parse_tokenize(body, {});
  };
  const TokenizeAsk ask = tokenize(
      R"({"prompt": "a", "add_special_tokens": false, "content": "b"})");
  EXPECT_EQ(ask.text, "a");
  EXPECT_FALSE(ask.add_special_tokens);
  EXPECT_TRUE(ask.parse_special);
  EXPECT_TRUE(
      tokenize(R"({"messages": [{"role": "user", "content": "x"}]})").is_chat);
  EXPECT_EQ(refused(tokenize, "{}"), "messages");
  EXPECT_EQ(refused(tokenize, R"({"prompt": 1})"), "prompt");
  EXPECT_THAT(parse_detokenize(R"({"tokens": [1, 2]})").tokens,
              ElementsAre(1, 2));
  EXPECT_EQ(refused(parse_detokenize, R"({"tokens": "a"})"), "tokens");
  EXPECT_EQ(refused(parse_detokenize, R"({"tokens": [-1]})"), "tokens");
}

TEST(ApiRequestTest, AnErrorHasTheFieldsForm) {
  const Json json = error_json(ApiError(400, "say why", "some_code", "prompt"));
  EXPECT_EQ(dump_json(json),
            R"({"error":{"message":"say why","type":"invalid_request_error",)"
            R"("param":"prompt","code":"some_code"}})");
  EXPECT_TRUE(error_json(ApiError(503, "x"))["error"]["param"].is_null());
  EXPECT_EQ(error_json(ApiError(503, "x"))["error"]["type"], "server_error");
}

// A parser of C strings would take the rest for nothing.
TEST(ApiRequestTest, WhatFollowsANulByteIsRefused) {
  using std::string_literals::operator""s;
  EXPECT_EQ(
      refused(completion, "{\"prompt\":\"x\",\"max_tokens\":1}\0garbage"s),
      "invalid_json");
  EXPECT_EQ(
      refused(chat,
              "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\0"s),
      "invalid_json");
}

}  // namespace
}  // namespace selfalign::serve
