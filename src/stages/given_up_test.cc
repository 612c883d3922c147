// SPDX-License-Identifier: Apache-2.0
// Rows that a server did not answer: stored with their reason, counted, and
// asked again where nothing was answered at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"
#include "stages/completing.h"
#include "stages/funnel.h"
#include "stages/likelihood.h"
#include "stages/testing.h"
#include "store/checks.h"

namespace selfalign::stages {
namespace {

using generate::Completion;
using generate::Finish;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// Answers every row in turn as `finish` says.
class Server final : public generate::Generator {
 public:
  explicit Server(std::function<Finish(uint64_t key)> finish)
      : finish_(std::move(finish)) {}
  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    while (const auto request = next()) {
      ++num_asked;
      Completion completion{.key = request->key,
                            .finish = finish_(request->key)};
      if (generate::is_given_up(completion.finish)) {
        completion.problem = "nonsense";
      } else {
        completion.text = "text";
      }
      done(completion);
    }
  }
  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    std::vector<generate::Scores> all;
    for (const generate::ScoreRequest& request : requests) {
      ++num_asked;
      generate::ContinuationScore score;
      score.finish = finish_(request.continuations.at(0).size());
      if (generate::has_answer(score.finish)) score.logprobs = {-2};
      all.push_back({request.key, {std::move(score)}});
    }
    return all;
  }
  std::string fingerprint() const override { return "server"; }
  int count_tokens(const std::string&) const override { return 1; }

  int num_asked = 0;

 private:
  std::function<Finish(uint64_t key)> finish_;
};

class GivenUpTest : public ::testing::Test {
 protected:
  // Six rows of "a.requests".
  void complete(Server& server) {
    AcceptAll plan(6);
    complete_rows(plan, server, *store_);
  }

  const ScratchFolder scratch_;
  std::unique_ptr<store::Store> store_ =
      store::Store::open(scratch_.path() + "/run");
};

TEST_F(GivenUpTest, RowsAreStoredWithTheirReasonAndCounted) {
  Server server([](uint64_t key) {
    return key == 2 || key == 6 ? Finish::kBadAnswer
           : key == 4           ? Finish::kTimedOut
                                : Finish::kStop;
  });
  complete(server);
  finish_stage(*store_, "a.requests", "", 6);
  const Funnel funnel = funnel_of(*store_->manifest("a.requests"));
  EXPECT_THAT(funnel.given_up,
              ElementsAre(Pair("bad_answer", 2), Pair("timed_out", 1)));
  EXPECT_EQ(funnel_line(funnel),
            "a.requests: 6 made, 6 kept (100.0 %); given up: 2 bad_answer, 1 "
            "timed_out");
  EXPECT_TRUE(store::find_problems(*store_).empty());
  EXPECT_EQ(store_->completion(4)->completion.finish, Finish::kTimedOut);
  // They are not asked again: the digest stays.
  const std::string digest = store_->run_digest();
  complete(server);
  EXPECT_EQ(server.num_asked, 6);
  EXPECT_EQ(store_->run_digest(), digest);
}

TEST_F(GivenUpTest, WhereNothingIsAnsweredNothingIsStored) {
  Server down([](uint64_t) { return Finish::kBrokenOff; });
  const Error error = error_of([&] { complete(down); });
  EXPECT_EQ(error.kind(), ErrorKind::kFailed);
  EXPECT_THAT(error.what(), HasSubstr("a: expected an answer of the model, "
                                      "found nonsense; see to the server"));
  EXPECT_EQ(store_->num_completions("a.requests"), 0);
  Server up([](uint64_t) { return Finish::kStop; });
  complete(up);
  EXPECT_EQ(up.num_asked, 6);
}

TEST_F(GivenUpTest, AScoreThatAServerDoesNotGiveIsKeptAsSuch) {
  Server server([](uint64_t length) {
    return length == 2 ? Finish::kRefused : Finish::kStop;
  });
  std::vector<std::string> rows;
  for (int time = 0; time < 2; ++time) {  // a restart asks nothing again
    Likelihoods likelihoods("a", server, *store_);
    Accepted accepted;
    const Likelihood known = likelihoods.of({1, "text", "Q", "x"}, accepted);
    const Likelihood lost = likelihoods.of({2, "text", "Q", "xy"}, accepted);
    EXPECT_EQ(known.sum, -2);
    EXPECT_EQ(known.finish, Finish::kStop);
    EXPECT_EQ(lost.finish, Finish::kRefused);
    EXPECT_EQ(lost.tokens, 0);
    EXPECT_EQ(dump_json(accepted.rows.at(1).content),
              R"({"of":"text","finish":"refused"})");
    rows.push_back(dump_json(accepted.rows.at(0).content) +
                   dump_json(accepted.rows.at(1).content));
    if (time == 0) store_->add_rows(accepted.rows);
  }
  EXPECT_EQ(server.num_asked, 2);
  EXPECT_EQ(rows[0], rows[1]);
}

TEST_F(GivenUpTest, ARowWhoseScoreAServerDoesNotGiveIsRejectedForIt) {
  Server server([](uint64_t length) {
    return length == 6 ? Finish::kTimedOut : Finish::kStop;
  });
  Likelihoods likelihoods("a", server, *store_);
  recipe::ChatPrompt prompt;
  prompt.user = "{instruction}";
  Accepted accepted;
  const store::Row row{1, "a", 0, {}, Json::object()};
  EXPECT_EQ(gain_of_instruction(gain_texts(row, "why", "answer", prompt),
                                likelihoods, accepted)
                .finish,
            Finish::kTimedOut);
  EXPECT_EQ(gain_of_instruction(gain_texts(row, "why", "other", prompt),
                                likelihoods, accepted)
                .finish,
            Finish::kStop);
  EXPECT_EQ(accepted.rows.size(), 3u);
}

}  // namespace
}  // namespace selfalign::stages
