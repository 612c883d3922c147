// SPDX-License-Identifier: Apache-2.0
#include "generate/remote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/testing.h"
#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(RemoteTest, ManyInFlightAndOutOfOrderAreNotMixedUp) {
  serve([](const Json& body) {
    TestReply reply = answer_prompt(body);
    reply.delay_s = body.at("seed").get<int>() % 3 == 0 ? 0.02 : 0.004;
    return reply;
  });
  RemoteOptions many = options();
  many.http.num_in_flight = 8;
  const auto all = run(many, 60);
  expect_right(all, 60);
  EXPECT_EQ(all.at(3).num_tokens, 2);
  EXPECT_EQ(all.at(3).num_prompt_tokens, 5);
  EXPECT_GT(server_->max_at_once(), 3);
  EXPECT_LE(server_->max_at_once(), 8);
}

TEST_F(RemoteTest, SamplingIsSentAsTheApiNamesIt) {
  serve(answer_prompt);
  const auto generator = make_remote_generator(options());
  EXPECT_EQ(generator->fingerprint(), "remote tiny");
  Request request;
  request.key = 0xffffffff00000005;
  request.suffix = "Hi";
  request.sampling.temperature = 0.5;
  request.sampling.top_p = 0.25;
  request.sampling.max_new_tokens = 9;
  request.sampling.stop = {"a", "b", "c", "d", "]"};
  request.sampling.repetition_penalty = 1.5;
  request.sampling.ngram_penalty = {0.75};
  request.sampling.logit_bias = {{3, -1e9}};
  request.sampling.ban_eos = true;
  std::optional<Request> next = request;
  Completion completion;
  generator->generate([&] { return std::exchange(next, std::nullopt); },
                      [&](Completion c) { completion = std::move(c); });
  EXPECT_EQ(completion.text, "[Hi");  // cut here at the fifth
  const Json expected = parse_json(
      R"({"model":"tiny","prompt":"Hi","max_tokens":9,"temperature":0.5,
          "top_p":0.25,"seed":5,"stop":["a","b","c","d"],
          "frequency_penalty":0.75,"logit_bias":{"3":-100.0},
          "repetition_penalty":1.5,"repeat_penalty":1.5,"ignore_eos":true})",
      "expected");
  EXPECT_EQ(bodies().at(0), expected);
}

TEST_F(RemoteTest, MembersBeyondTheApiAreLeftOutOnceRefused) {
  serve([](const Json& body) {
    if (!body.contains("ignore_eos")) return answer_prompt(body);
    return TestReply{
        .status = 400,
        .body = R"({"error":{"message":"unrecognized: ignore_eos"}})"};
  });
  const auto generator = make_remote_generator(options());
  int num_left = 3;
  int num_done = 0;
  generator->generate(
      [&]() -> std::optional<Request> {
        if (num_left == 0) return std::nullopt;
        Request request;
        request.key = static_cast<uint64_t>(num_left--);
        request.sampling.ban_eos = true;
        return request;
      },
      [&](Completion) { ++num_done; });
  EXPECT_EQ(num_done, 3);
}

TEST_F(RemoteTest, WaitsAsLongAsTheServerAsks) {
  int num_refused = 0;
  serve([&](const Json& body) {
    if (num_refused++ > 0) return answer_prompt(body);
    return TestReply{.status = 429, .headers = "Retry-After: 1\r\n"};
  });
  const auto began = std::chrono::steady_clock::now();
  expect_right(run(options(), 1), 1);
  EXPECT_GE(std::chrono::steady_clock::now() - began,
            std::chrono::milliseconds(950));
}

TEST_F(RemoteTest, RetryAfterIsBounded) {
  int num_refused = 0;
  serve([&](const Json& body) {
    if (num_refused++ > 0) return answer_prompt(body);
    return TestReply{.status = 503, .headers = "Retry-After: 100000\r\n"};
  });
  RemoteOptions bounded = options();
  bounded.http.max_retry_after_s = 0.05;
  expect_right(run(bounded, 1), 1);
}

TEST_F(RemoteTest, FailuresThatPassAreOutlived) {
  std::set<std::string> failed;
  serve([&](const Json& body) {
    const auto prompt = body.at("prompt").get<std::string>();
    const TestReply good = answer_prompt(body);
    if (!failed.insert(prompt).second) return good;
    switch (std::stoi(prompt.substr(1))) {
      case 0:
        return TestReply{.status = 500, .body = "out of luck"};
      case 1:
        return TestReply{.body = "{\"choices\": [{\"text"};
      case 2:
        return TestReply{.body = good.body, .missing_bytes = 9};
      case 3:
        return TestReply{.hang_up = true};
      case 4:
        return TestReply{.body = completion_body("x", "abort")};
      default:
        return TestReply{.body = good.body, .delay_s = 30};  // hangs
    }
  });
  RemoteOptions hasty = options();
  hasty.http.timeout_s = 0.3;
  expect_right(run(hasty, 6), 6);
}

TEST_F(RemoteTest, FailuresThatStayEndTheWork) {
  serve([](const Json&) {
    return TestReply{.status = 502, .body = "bad gateway"};
  });
  const std::string error = error_of(options());
  EXPECT_THAT(error, HasSubstr("/v1/completions: expected an answer, found "
                               "status 502: bad gateway in 4 tries"));
  EXPECT_EQ(bodies().size(), 4u);
}

// A limit of requests a minute passes, an account without money does not.
TEST_F(RemoteTest, AnExhaustedQuotaEndsTheWorkAtOnce) {
  for (const auto& [status, error] : std::vector<std::pair<int, std::string>>{
           {429, R"("type":"insufficient_quota","code":"insufficient_quota")"},
           {429, R"("type":"insufficient_quota","code":null)"},
           {429, R"("code":"billing_hard_limit_reached")"},
           {500, R"("code":"insufficient_quota")"}}) {
    forget_bodies();
    const std::string body =
        str(R"({"error":{"message":"You exceeded your current quota.",)", error,
            "}}");
    serve([&, status = status](const Json&) {
      return TestReply{.status = status, .body = body};
    });
    EXPECT_THAT(error_of(options()),
                HasSubstr(str("found status ", status,
                              ": You exceeded your current quota.; see to")));
    EXPECT_EQ(bodies().size(), 1u) << error;
    try {
      make_remote_generator(options())->score(
          {{.key = 1, .context = "a", .continuations = {"b"}}});
      ADD_FAILURE() << "scored";
    } catch (const Error& found) {
      EXPECT_THAT(found.what(), HasSubstr("You exceeded"));
    }
    EXPECT_EQ(bodies().size(), 2u) << error;
  }
  forget_bodies();
  int num_asked = 0;
  serve([&](const Json& asked) {
    if (++num_asked > 1) return answer_prompt(asked);
    return TestReply{.status = 429,
                     .body = R"({"error":{"code":"rate_limit_exceeded",
                         "message":"Slow down: no insufficient_quota"}})"};
  });
  expect_right(run(options(), 1), 1);
  server_ = std::make_unique<TestServer>([](const TestRequest&) {
    return TestReply{
        .status = 429,
        .body = R"({"error":{"code":"insufficient_quota","message":"Pay."}})"};
  });
  EXPECT_THAT(error_of(options()), HasSubstr("found status 429: Pay.; see to"));
  EXPECT_EQ(server_->num_requests(), 1);
}

TEST_F(RemoteTest, APromptThatAFilterRefusesIsAnOutcome) {
  serve([](const Json&) {
    return TestReply{.status = 400,
                     .body = R"({"error":{"code":"content_filter"}})"};
  });
  EXPECT_EQ(run(options(), 1).at(0).finish, Finish::kLength);
}

TEST_F(RemoteTest, RefusalsAreNotTriedAgain) {
  serve([](const Json&) {
    return TestReply{.status = 404, .body = R"({"error":{"message":"gone"}})"};
  });
  EXPECT_THAT(error_of(options()), HasSubstr("found status 404: gone"));
  EXPECT_EQ(bodies().size(), 1u);
}

TEST_F(RemoteTest, ATooLongPromptIsAnOutcome) {
  serve([](const Json&) {
    return TestReply{.status = 400,
                     .body = R"({"message":"maximum context length is 16"})"};
  });
  EXPECT_EQ(run(options(), 1).at(0).finish, Finish::kNoRoom);
}

TEST_F(RemoteTest, NobodyListens) {
  serve(answer_prompt);
  const RemoteOptions gone = options();
  server_.reset();
  const std::string error = error_of(gone);
  EXPECT_THAT(error, HasSubstr("/v1/models: expected an answer, found "));
  EXPECT_THAT(error, HasSubstr("see that the server runs"));
}

TEST_F(RemoteTest, AnInterruptDropsWhatIsUnfinished) {
  serve([](const Json& body) {
    TestReply reply = answer_prompt(body);
    if (body.at("prompt") != "Q0") reply.delay_s = 30;
    return reply;
  });
  const auto generator = make_remote_generator(options());
  uint64_t key = 0;
  int num_done = 0;
  generator->generate(
      [&]() -> std::optional<Request> {
        Request request;
        request.suffix = str("Q", request.key = key++);
        return request;
      },
      [&](Completion) {
        ++num_done;
        set_interrupted(true);
      });
  EXPECT_EQ(num_done, 1);
}

TEST_F(RemoteTest, TheKeyGoesToTheServerAndIntoNoMessage) {
  serve([](const Json&) { return TestReply{.status = 401, .body = "no"}; });
  RemoteOptions secret = options();
  secret.http.api_key = "abc-secret";
  const std::string error = error_of(secret);
  EXPECT_THAT(headers(), HasSubstr("Authorization: Bearer abc-secret\r\n"));
  EXPECT_THAT(error, HasSubstr("SELFALIGN_REMOTE_KEY"));
  EXPECT_THAT(error, Not(HasSubstr("abc-secret")));
  secret.http.api_key = "a\r\nHost: b";
  EXPECT_THAT(error_of(secret), HasSubstr("expected one line"));
}

TEST_F(RemoteTest, RedirectsAreNotFollowed) {
  serve([this](const Json&) {
    return TestReply{
        .status = 307,
        .headers = str("Location: ", server_->url(), "/other\r\n")};
  });
  EXPECT_THAT(error_of(options()), HasSubstr("a redirect (status 307)"));
  EXPECT_EQ(server_->num_requests(), 2);
}

TEST_F(RemoteTest, ModelsAreChosenByName) {
  serve(answer_prompt);
  RemoteOptions named = options();
  named.model += "#tiny";
  expect_right(run(named, 1), 1);
  named.model = server_->url() + "#other";
  EXPECT_THAT(error_of(named), HasSubstr("found other; it has: tiny"));
  for (const char* bad :
       {"http://user:pass@host/v1", "http://", "http://a?b", "http://a b/v1"}) {
    named.model = bad;
    EXPECT_THAT(error_of(named), HasSubstr("model: expected http://")) << bad;
    EXPECT_THAT(error_of(named), Not(HasSubstr("pass@"))) << bad;
  }
}

// Tokens are single characters here.
TestReply echo(const Json& body, size_t num_generated) {
  const auto text =
      body.at("prompt").get<std::string>() + std::string(num_generated, '!');
  Json tokens = Json::array(), logprobs = Json::array();
  for (const char c : text) {
    logprobs.push_back(tokens.empty() ? Json() : Json(-0.5));
    tokens.push_back(std::string(1, c));
  }
  return {.body = dump_json(Json{
              {"choices",
               {{{"text", text},
                 {"finish_reason", "length"},
                 {"logprobs",
                  {{"tokens", tokens}, {"token_logprobs", logprobs}}}}}}})};
}

TEST_F(RemoteTest, ScoresByEcho) {
  serve([](const Json& body) { return echo(body, 0); });
  const auto scores = make_remote_generator(options())->score(
      {{.key = 1, .context = "ab", .continuations = {"cd", "e"}},
       {.key = 2, .context = "x", .continuations = {"yz!"}}});
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0].key, 1u);
  EXPECT_EQ(scores[0].continuations.at(0).logprobs.size(), 2u);
  EXPECT_EQ(scores[0].continuations.at(1).logprobs.size(), 1u);
  EXPECT_EQ(scores[1].continuations.at(0).logprobs.size(), 3u);
  EXPECT_EQ(bodies().at(0).at("max_tokens"), 0);
}

TEST_F(RemoteTest, ScoresWhereAtLeastOneTokenIsGenerated) {
  serve([](const Json& body) {
    if (body.at("max_tokens") == 0) return TestReply{.status = 400};
    return echo(body, 1);
  });
  const auto scores = make_remote_generator(options())->score(
      {{.key = 1, .context = "ab", .continuations = {"cd", "e", "fgh"}}});
  EXPECT_EQ(scores[0].continuations.at(0).logprobs.size(), 2u);
  EXPECT_EQ(scores[0].continuations.at(2).logprobs.size(), 3u);
}

// Every id is a token; log-probabilities say which.
TestReply echo_ids(const Json& body, size_t num_generated) {
  Json content = Json::array();
  std::vector<int> ids = body.at("prompt").get<std::vector<int>>();
  ids.resize(ids.size() + num_generated, 99);
  for (const int id : ids) {
    content.push_back(
        {{"id", id},
         {"token", str("<", id, ">")},
         {"logprob", content.empty() ? Json() : Json(-0.125 * id)},
         {"top_logprobs",
          {{{"id", 8}, {"logprob", -0.5}}, {{"id", 7}, {"logprob", -0.25}}}}});
  }
  return {.body = dump_json(Json{{"choices",
                                  {{{"text", "?"},
                                    {"finish_reason", "length"},
                                    {"logprobs", {{"content", content}}}}}}})};
}

TEST_F(RemoteTest, TokensAreSentAsAList) {
  serve([](const Json& body) { return echo_ids(body, 1); });
  const auto generator = make_remote_generator(options());
  const Scores scores = generator
                            ->score({{.key = 3,
                                      .context_tokens = {4, 5},
                                      .continuation_tokens = {{1, 2}, {}, {3}},
                                      .num_top_logprobs = 1}})
                            .at(0);
  ASSERT_EQ(scores.continuations.size(), 3u);
  EXPECT_EQ(scores.continuations[0].logprobs,
            (std::vector<float>{-0.125F, -0.25F}));
  EXPECT_EQ(scores.continuations[0].is_greedy, (std::vector<bool>{true, true}));
  EXPECT_EQ(scores.continuations[2].is_greedy, (std::vector<bool>{false}));
  EXPECT_EQ(scores.continuations[0].tokens, (std::vector<int>{1, 2}));
  ASSERT_EQ(scores.continuations[0].top_logprobs.size(), 2u);
  EXPECT_EQ(scores.continuations[0].top_logprobs[0].at(0).token, 7);
  EXPECT_EQ(scores.continuations[0].top_logprobs[0].size(), 1u);
  EXPECT_THROW(generator->score({{.continuation_tokens = {{1}}}}), Error);

  serve([](const Json&) { return TestReply{.body = completion_body("yes")}; });
  Request request;
  request.prompt_tokens = {4, 5, 6};
  std::optional<Request> next = request;
  forget_bodies();
  make_remote_generator(options())->generate(
      [&] { return std::exchange(next, std::nullopt); },
      [](const Completion& c) { EXPECT_EQ(c.text, "yes"); });
  EXPECT_EQ(bodies().at(0).at("prompt"), Json({4, 5, 6}));
}

TEST_F(RemoteTest, OtherTokensThanThoseSentAreRefused) {
  serve([](const Json& body) {
    Json other = body;
    other["prompt"] = {9, 9, 9};
    return echo_ids(other, 0);
  });
  EXPECT_THROW(make_remote_generator(options())->score(
                   {{.context_tokens = {4}, .continuation_tokens = {{1, 2}}}}),
               Error);
  EXPECT_THROW(make_remote_generator(options())->score(
                   {{.context_tokens = {4}, .continuation_tokens = {{8}}}}),
               Error);
}

TEST_F(RemoteTest, TextIsHandedOnAndTheUnwantedDropped) {
  serve([](const Json& body) {
    TestReply reply = answer_prompt(body);
    if (body.at("prompt") == "slow") reply.delay_s = 30;
    return reply;
  });
  const auto generator = make_remote_generator(options());
  std::vector<Request> all(2);
  all[0].suffix = "slow";
  all[1].suffix = "quick";
  all[1].key = 1;
  std::string text;
  all[0].on_text = [&](std::string_view) { return text.empty(); };
  all[1].on_text = [&](std::string_view piece) {
    text += piece;
    return true;
  };
  std::map<uint64_t, Completion> done;
  size_t next = 0;
  generator->generate(
      [&]() -> std::optional<Request> {
        if (next == all.size()) return std::nullopt;
        return all[next++];
      },
      [&](Completion c) { done.emplace(c.key, std::move(c)); });
  EXPECT_EQ(text, "[quick]");
  EXPECT_EQ(done.at(1).text, "[quick]");
  EXPECT_EQ(done.at(0).finish, Finish::kCancelled);
}

TEST_F(RemoteTest, IsAskedAgainWhileOneIsInFlightAndMayScore) {
  serve([](const Json& body) {
    if (body.contains("echo")) return echo(body, 0);
    TestReply reply = answer_prompt(body);
    reply.delay_s = body.at("prompt") == "first" ? 0.5 : 0;
    return reply;
  });
  const auto generator = make_remote_generator(options());
  int num_asked = 0;
  std::vector<std::string> texts;
  generator->generate(
      [&]() -> std::optional<Request> {
        ++num_asked;
        if (num_asked == 2 || num_asked > 3) return std::nullopt;
        if (num_asked == 3) {
          const auto scores =
              generator->score({{.context = "ab", .continuations = {"cd"}}});
          EXPECT_EQ(scores.at(0).continuations.at(0).logprobs.size(), 2u);
        }
        Request request;
        request.key = static_cast<uint64_t>(num_asked);
        request.suffix = num_asked == 1 ? "first" : "second";
        return request;
      },
      [&](const Completion& c) { texts.push_back(c.text); });
  EXPECT_EQ(texts, (std::vector<std::string>{"[second]", "[first]"}));
}

TEST_F(RemoteTest, SaysWhenTheServerCannotScore) {
  for (const TestReply& reply :
       {TestReply{.status = 400, .body = "echo is not supported"},
        TestReply{.body = completion_body("!")}}) {
    serve([&](const Json&) { return reply; });
    EXPECT_THAT(message_of([&] {
                  make_remote_generator(options())->score(
                      {{.key = 1, .context = "ab", .continuations = {"cd"}}});
                }),
                HasSubstr("echo with logprobs"));
  }
}

TEST_F(RemoteTest, CountsTokensByTheServerOrByLength) {
  serve(answer_prompt);  // 404 for /tokenize
  EXPECT_EQ(make_remote_generator(options())->count_tokens("abcdefg"), 3);
  server_ = std::make_unique<TestServer>([](const TestRequest& request) {
    if (request.target == "/tokenize") {
      return TestReply{.body = R"({"tokens":[1,2,3,4,5]})"};
    }
    return TestReply{.body = kModels};
  });
  EXPECT_EQ(make_remote_generator(options())->count_tokens("abcdefg"), 5);
}

TEST_F(RemoteTest, APartOfAnAnswerIsCountedWithoutAsking) {
  serve(answer_prompt);
  const auto generator = make_remote_generator(options());
  const int num_before = server_->num_requests();
  Completion whole;
  whole.text = "twelve bytes";
  whole.num_tokens = 6;
  EXPECT_EQ(generator->count_part(whole, "twelve bytes"), 6);
  EXPECT_EQ(generator->count_part(whole, "twelve"), 3);
  EXPECT_EQ(generator->count_part(whole, "t"), 1);
  EXPECT_EQ(generator->count_part(whole, ""), 0);
  EXPECT_EQ(server_->num_requests(), num_before);
}

}  // namespace
}  // namespace selfalign::generate
