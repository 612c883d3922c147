// SPDX-License-Identifier: Apache-2.0
// Servers, or gateways before them, that refuse one row and answer others, or
// refuse all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "generate/remote.h"
#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;

class RefusingTest : public RemoteTest {};

// Whichever it is, and also where it comes first: a gateway may refuse what one
// prompt says.
TEST_F(RefusingTest, AStatusOfOneRowIsThatRowsOutcome) {
  int status = 0;
  serve([&](const Json& body) {
    const auto prompt = body.at("prompt").get<std::string>();
    if (prompt != "Q0" && prompt != "Q3") return answer_prompt(body);
    return TestReply{
        .status = status, .body = "blocked", .headers = "Location: /sorry\r\n"};
  });
  RemoteOptions in_turn = hasty();
  in_turn.http.num_in_flight = 1;
  for (const int one : {300, 302, 304, 307, 400, 402, 403, 404, 405, 406, 409,
                        410, 413, 418, 421, 422, 451}) {
    SCOPED_TRACE(one);
    status = one;
    const auto rows = run(in_turn, 5);
    ASSERT_EQ(rows.size(), 5u);
    for (const auto& [key, row] : rows) {
      const bool is_refused = key == 0 || key == 3;
      EXPECT_EQ(row.finish, is_refused ? Finish::kRefused : Finish::kStop);
      if (is_refused) {
        EXPECT_THAT(row.problem, HasSubstr(str("status ", one)));
      }
    }
  }
  status = 401;
  EXPECT_THAT(error_of(in_turn, 5), HasSubstr("set SELFALIGN_REMOTE_KEY"));
}

// Before any answer it is the address or the key that is wrong.
TEST_F(RefusingTest, WhatEveryRowGetsEndsTheWorkWithItsAdvice) {
  for (const auto& [status, advice] : std::vector<std::pair<int, const char*>>{
           {302, "give the address it leads to"},
           {403, "set SELFALIGN_REMOTE_KEY"},
           {404, "found status 404: no; correct the request"},
           {405, "found status 405: no; correct the request"},
           {418, "found status 418: no, and none to 16 requests in a row"}}) {
    for (const int num_rows : {1, 3, 100}) {
      if (status == 418 && num_rows < 16) continue;
      forget_bodies();
      serve([&, status = status](const Json&) {
        return TestReply{.status = status, .body = "no"};
      });
      EXPECT_THAT(error_of(hasty(), num_rows), HasSubstr(advice)) << num_rows;
      EXPECT_LE(bodies().size(), 20u);
    }
  }
}

TEST_F(RefusingTest, ALimitThatOneRowAloneIsOverIsItsOutcomeAtOnce) {
  int num_over = 0;
  serve([&](const Json& body) {
    if (body.at("prompt") != "Q1") return answer_prompt(body);
    ++num_over;
    return TestReply{
        .status = 429,
        .body =
            R"({"error":{"message":
        "Request too large for m on tokens per min (TPM): Limit 30000, )"
            R"(Requested 35000.","type":"tokens","code":"rate_limit_exceeded"}})"};
  });
  const auto rows = run(hasty(), 4);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows.at(1).finish, Finish::kRefused);
  EXPECT_THAT(rows.at(1).problem, HasSubstr("Requested 35000"));
  EXPECT_EQ(rows.at(2).finish, Finish::kStop);
  EXPECT_EQ(num_over, 1);
}

// Scores of the contexts A0, A1, ... by a server that gives those of each
// token, a byte, but answers as `refuse` says where that is not 200.
class ScoresOfRefusingTest : public RemoteTest {
 protected:
  using Refuse = std::function<TestReply(const std::string& prompt)>;

  std::vector<Scores> score(const Refuse& refuse, size_t num_rows) {
    forget_bodies();
    serve([refuse](const Json& body) {
      const auto prompt = body.at("prompt").get<std::string>();
      TestReply reply = refuse(prompt);
      if (reply.status != 200 || !reply.body.empty()) return reply;
      Json tokens = Json::array(), logprobs = Json::array();
      for (const char c : prompt) {
        tokens.push_back(std::string(1, c));
        logprobs.push_back(tokens.size() == 1 ? Json() : Json(-1.0));
      }
      reply.body = dump_json(
          Json{{"choices",
                {{{"text", prompt},
                  {"logprobs",
                   {{"tokens", tokens}, {"token_logprobs", logprobs}}}}}}});
      return reply;
    });
    std::vector<ScoreRequest> requests;
    for (size_t i = 0; i < num_rows; ++i) {
      requests.push_back({i, str("A", i), {"b", "cd"}});
    }
    RemoteOptions in_turn = hasty();
    in_turn.http.num_in_flight = 1;
    return make_remote_generator(in_turn)->score(requests);
  }

  std::string error_with(const TestReply& reply, size_t num_rows) {
    return selfalign::error_of([&] {
             score([&](const std::string&) { return reply; }, num_rows);
           })
        .what();
  }
};

TEST_F(ScoresOfRefusingTest, AStatusOfOneRowIsThatRowsOutcome) {
  for (const int status : {302, 400, 402, 403, 404, 405, 413, 418, 422, 451}) {
    SCOPED_TRACE(status);
    const auto all = score(
        [&](const std::string& prompt) {
          return prompt == "A0b" || prompt == "A3cd"
                     ? TestReply{.status = status, .body = "blocked"}
                     : TestReply{};
        },
        5);
    ASSERT_EQ(all.size(), 5u);
    for (const Scores& scores : all) {
      for (size_t j = 0; j < 2; ++j) {
        const ContinuationScore& one = scores.continuations.at(j);
        const bool is_refused =
            (scores.key == 0 && j == 0) || (scores.key == 3 && j == 1);
        EXPECT_EQ(one.finish, is_refused ? Finish::kRefused : Finish::kStop);
        EXPECT_EQ(one.logprobs.size(), is_refused ? 0 : j + 1);
        if (is_refused) {
          EXPECT_THAT(one.problem, HasSubstr(str("status ", status)));
        }
      }
    }
  }
}

TEST_F(ScoresOfRefusingTest, WhatIsTooLongOrNoScoreIsThatRowsOutcome) {
  const auto all = score(
      [](const std::string& prompt) {
        return prompt == "A1b"
                   ? TestReply{.status = 400,
                               .body = R"({"error":{"message":"too long",)"
                                       R"("code":"context_length_exceeded"}})"}
               : prompt == "A2b" ? TestReply{.body = completion_body("!")}
                                 : TestReply{};
      },
      4);
  EXPECT_EQ(all.at(1).continuations.at(0).finish, Finish::kNoRoom);
  EXPECT_EQ(all.at(1).continuations.at(1).finish, Finish::kStop);
  EXPECT_EQ(all.at(2).continuations.at(0).finish, Finish::kBadAnswer);
  EXPECT_EQ(all.at(3).continuations.at(0).finish, Finish::kStop);
}

TEST_F(ScoresOfRefusingTest, WhatEveryRowGetsEndsTheWorkWithItsAdvice) {
  for (const auto& [status, advice] : std::vector<std::pair<int, const char*>>{
           {302, "give the address it leads to"},
           {400, "echo with logprobs), found no; score with a server"},
           {401, "set SELFALIGN_REMOTE_KEY"},
           {403, "set SELFALIGN_REMOTE_KEY"},
           {404, "found status 404: no; correct the request"},
           {418, "found status 418: no, and none to 16 requests in a row"}}) {
    for (const size_t num_rows : {1, 40}) {
      if (status == 418 && num_rows < 16) continue;
      EXPECT_THAT(error_with({.status = status, .body = "no"}, num_rows),
                  HasSubstr(advice))
          << status;
      EXPECT_LE(bodies().size(), 20u);
    }
  }
}

}  // namespace
}  // namespace selfalign::generate
