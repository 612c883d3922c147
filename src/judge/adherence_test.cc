// SPDX-License-Identifier: Apache-2.0
#include "judge/adherence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "judge/testing.h"
#include "store/store.h"

namespace selfalign::judge {
namespace {

using testing::HasSubstr;

// Ten answers; rule 3 fired in all of them, rule 7 in the even ones.
class AdherenceTest : public testing::Test {
 protected:
  AdherenceTest() {
    store_ = store::Store::open(folder_.path() + "/run");
    std::vector<store::Row> rows;
    for (int i = 0; i < 10; ++i) {
      Json rules = {3};
      if (i % 2 == 0) rules.push_back(7);
      rows.push_back({uint64_t(i + 1),
                      "align.pairs",
                      i,
                      {},
                      Json{{"instruction", str("zebra ", i)},
                           {"response", str("walrus ", i)},
                           {"rules", rules}}});
    }
    rows.push_back({99,
                    "verbose.pairs",
                    0,
                    {},
                    Json{{"instruction", "q"}, {"response", "a"}}});
    store_->transaction([&] { store_->add_rows(rows); });
  }

  eval::TaskResult judged(ScriptedJudge::Script script) {
    const JudgeOptions options = scripted_.options(std::move(script), "plain");
    eval::ItemLog log(folder_.path() + "/judgements/scripted.jsonl");
    Judge judge(options, &log);
    return judge_adherence(judge, prompts_, fired_rules(*store_, 0, 0), 0);
  }

  ScratchFolder folder_;
  std::unique_ptr<store::Store> store_;
  const recipe::Prompts prompts_ = recipe::load_prompts("prompts");
  ScriptedJudge scripted_;
};

// True where the answer that is shown is that of the question.
bool is_own(const generate::Request& request) {
  const size_t question = request.suffix.find("zebra ");
  const size_t answer = request.suffix.find("walrus ");
  return request.suffix[question + 6] == request.suffix[answer + 7];
}

TEST_F(AdherenceTest, FiredRulesAreThoseOfKeptAnswers) {
  const std::vector<FiredRule> all = fired_rules(*store_, 0, 0);
  ASSERT_EQ(all.size(), 15u);
  EXPECT_EQ(all[1].id, "align.pairs:0 rule 7");
  EXPECT_EQ(all[1].question, "zebra 0");
  EXPECT_EQ(all[1].answer, "walrus 0");
  const std::vector<FiredRule> some = fired_rules(*store_, 4, 1);
  EXPECT_EQ(some.size(), 8u);
  EXPECT_TRUE(std::is_sorted(
      some.begin(), some.end(),
      [](const auto& a, const auto& b) { return a.row < b.row; }));
}

TEST_F(AdherenceTest, AJudgeThatReadsFindsLessInAnswersOfOtherRows) {
  const std::string rule3 = prompts_.principles.at(2).text;
  const eval::TaskResult result = judged([&](const generate::Request& request) {
    // Rule 3 is kept by all rows' own answers, rule 7 by none.
    const bool kept = request.suffix.find(rule3) != std::string::npos;
    return kept && is_own(request) ? "Yes. [[yes]]" : "[[no]]";
  });
  eval::expect_self_tests_pass(result);
  EXPECT_EQ(result.self_tests.size(), 4u);
  EXPECT_DOUBLE_EQ(metric(result, "adherence").value, 10.0 / 15.0);
  EXPECT_EQ(metric(result, "adherence_swapped").value, 0.0);
  EXPECT_GT(metric(result, "adherence_gain").low, 0.0);
  EXPECT_EQ(metric(result, "adherence_gain").note, "");
  EXPECT_EQ(metric(result, "adherence.3").value, 1.0);
  EXPECT_EQ(metric(result, "adherence.3").num_items, 10);
  EXPECT_EQ(metric(result, "adherence.7").value, 0.0);
  EXPECT_EQ(metric(result, "adherence.7").num_items, 5);
  EXPECT_EQ(result.num_failures, 0);
  EXPECT_EQ(result.keys.size(), 30u);
  EXPECT_THAT(adherence_text(result), HasSubstr("7 ("));
}

TEST_F(AdherenceTest, AJudgeThatDoesNotReadIsTold) {
  const eval::TaskResult result =
      judged([](const generate::Request&) { return "[[yes]]"; });
  EXPECT_EQ(metric(result, "adherence").value, 1.0);
  EXPECT_EQ(metric(result, "adherence_gain").value, 0.0);
  EXPECT_THAT(metric(result, "adherence_gain").note,
              HasSubstr("does not tell"));
}

TEST_F(AdherenceTest, WithoutVerdictsThereIsNoShare) {
  const eval::TaskResult result =
      judged([](const generate::Request&) { return "hm"; });
  EXPECT_TRUE(result.metrics.empty());
  EXPECT_EQ(result.num_failures, 15);
  EXPECT_THAT(adherence_text(result), HasSubstr("no verdict"));
}

TEST_F(AdherenceTest, JudgementsAreLoggedWithWhatTheyAreAbout) {
  judged([](const generate::Request&) { return "[[no]]"; });
  const std::vector<Json> items =
      eval::read_items(folder_.path() + "/judgements/scripted.jsonl");
  ASSERT_EQ(items.size(), 30u);
  EXPECT_EQ(items[0]["kind"], "adherence");
  EXPECT_EQ(items[0]["rule"], 3);
  EXPECT_EQ(items[0]["verdict"], false);
  EXPECT_EQ(items[0]["prompt"], "adherence");
}

}  // namespace
}  // namespace selfalign::judge
