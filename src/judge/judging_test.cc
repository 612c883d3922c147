// SPDX-License-Identifier: Apache-2.0
#include "judge/judging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "eval/result_items.h"
#include "judge/human.h"
#include "judge/testing.h"
#include "report/report_sections.h"
#include "report/tables.h"

namespace selfalign::judge {
namespace {

JudgedAnswer answer(int id, const std::string& text) {
  return {std::to_string(id),
          id % 2 == 0 ? "writing" : "math",
          {"Why?", "And then?"},
          {text, text + " too"},
          {},
          {},
          {}};
}

// 20 questions of two turns; the answers of "long" are the longer ones in all
// but the first five.
Contest contest() {
  Contest contest{"mt_bench", "long", "short", {}};
  for (int i = 0; i < 20; ++i) {
    contest.pairs.push_back(
        {answer(i, i < 5 ? "no" : "a longer answer"), answer(i, "some words")});
  }
  return contest;
}

class JudgingTest : public testing::Test {
 protected:
  Judge judge(ScriptedJudge::Script script,
              const std::string& name = "scripted") {
    JudgeOptions options = scripted_.options(std::move(script), "plain");
    options.name = name;
    log_ = std::make_unique<eval::ItemLog>(folder_.path() + "/judgements/" +
                                           name + ".jsonl");
    return Judge(options, log_.get());
  }
  ScratchFolder folder_;
  ScriptedJudge scripted_;
  std::unique_ptr<eval::ItemLog> log_;
};

// Prefers the answer that says "longer", wherever it stands; else the other.
std::string oracle(const generate::Request& request) {
  const std::string& text = request.suffix;
  const size_t a = text.rfind("assistant A\n");
  const size_t b = text.rfind("assistant B\n");
  const size_t longer = text.rfind("a longer answer");
  if (longer != std::string::npos) {
    return longer > b ? "[[B]]" : "[[A]]";
  }
  const size_t words = text.rfind("some words");
  if (words == std::string::npos || a == std::string::npos) return "[[C]]";
  return words > b ? "[[B]]" : "[[A]]";
}

void expect_agrees_in_all(const std::vector<eval::JudgeAgreement>& agreed,
                          const std::string& with) {
  ASSERT_EQ(agreed.size(), 1u);
  EXPECT_EQ(agreed[0].with, with);
  EXPECT_EQ(agreed[0].num_items, 40);
  EXPECT_EQ(agreed[0].raw, 1.0);
  EXPECT_EQ(agreed[0].kappa, 1.0);
}

TEST_F(JudgingTest, AnOracleGivesTheKnownWinRate) {
  Judge one = judge(oracle);
  const eval::Comparison found = judge_pairs(one, contest(), 1);
  EXPECT_EQ(found.pairs->counts.num_items, 40);
  EXPECT_EQ(found.pairs->counts.wins_a, 30);
  EXPECT_EQ(found.pairs->counts.wins_b, 10);
  EXPECT_EQ(found.pairs->counts.flips, 0);
  EXPECT_EQ(found.pairs->counts.win_rate, 0.75);
  EXPECT_EQ(found.pairs->orders->kappa, 1.0);
  EXPECT_EQ(found.pairs->by_category.at("math").num_items, 20);
  for (const eval::SelfTest& test : *found.self_tests) {
    EXPECT_TRUE(test.passed) << test.name;
  }
  EXPECT_EQ(found.self_tests->size(), 4u);
  // The same read from the log, whichever of the two is named first.
  const auto logged = logged_pairs(folder_.path(), found, "long");
  EXPECT_EQ(count_pairs(logged).wins_a, 30);
  const auto mirrored = logged_pairs(folder_.path(), found, "short");
  EXPECT_EQ(count_pairs(mirrored).wins_b, 30);
}

TEST_F(JudgingTest, SwappedSubjectsMirror) {
  Contest swapped{"mt_bench", "short", "long", {}};
  for (const AnswerPair& pair : contest().pairs) {
    swapped.pairs.push_back({pair.b, pair.a});
  }
  Judge one = judge(oracle);
  EXPECT_EQ(count_pairs(pair_verdicts(one, swapped)).win_rate, 0.25);
}

TEST_F(JudgingTest, WhoSaysTheFirstFlipsAlwaysAndFailsOnIdenticalAnswers) {
  Judge one = judge([](const generate::Request&) { return "[[A]]"; });
  const eval::Comparison found = judge_pairs(one, contest(), 1);
  EXPECT_EQ(found.pairs->counts.flips, 40);
  EXPECT_EQ(found.pairs->counts.win_rate, 0.5);
  EXPECT_EQ(found.identical_answers->num_items, 4);
  EXPECT_EQ(found.identical_answers->ties, 0);
}

TEST_F(JudgingTest, FailuresAreCounted) {
  Judge one = judge([](const generate::Request&) { return "well"; });
  const eval::Comparison found = judge_pairs(one, contest(), 1);
  EXPECT_EQ(found.pairs->counts.failures, 40);
  const Json json = to_json(found);
  for (const char* rate :
       {"win_rate", "low", "high", "win_rate_failures_lost",
        "win_rate_length_controlled", "lc_high", "order_agreement"}) {
    EXPECT_TRUE(json.at(rate).is_null()) << rate;
  }
  for (const auto& [category, counts] : found.pairs->by_category) {
    EXPECT_FALSE(counts.win_rate) << category;
  }
  // One verdict is one.
  Contest one_more = contest();
  for (JudgedAnswer* one : {&one_more.pairs[7].a, &one_more.pairs[7].b}) {
    one->turns = {"Which?", "And then?"};
  }
  Judge other = judge(
      [](const generate::Request& request) {
        const std::string text = *request.prefix + request.suffix;
        const bool is_first = text.find("And then?") == std::string::npos;
        return is_first && text.find("Which?") != std::string::npos ? "[[C]]"
                                                                    : "well";
      },
      "other");
  const eval::Comparison some = judge_pairs(other, one_more, 1);
  EXPECT_EQ(some.pairs->counts.failures, 39);
  EXPECT_EQ(some.pairs->counts.win_rate, 0.5);
}

TEST_F(JudgingTest, MarksByTurnAndCategory) {
  std::vector<JudgedAnswer> answers;
  for (const AnswerPair& pair : contest().pairs) answers.push_back(pair.a);
  Judge one = judge([](const generate::Request& request) {
    if (request.suffix.find("Second") == std::string::npos) return "[[8]]";
    return request.suffix.find("no too") == std::string::npos ? "[[4]]" : "no";
  });
  const eval::TaskResult found =
      judge_singles(one, "mt_bench", "long", answers, 1);
  EXPECT_EQ(found.task, "mt_bench.judge.scripted");
  EXPECT_EQ(found.num_failures, 5);
  EXPECT_TRUE(found.self_tests[0].passed);
  std::map<std::string, double> values;
  for (const eval::Metric& metric : found.metrics)
    values[metric.name] = metric.value;
  EXPECT_NEAR(values["score"], (20 * 8 + 15 * 4) / 35.0, 1e-12);
  EXPECT_NEAR(values["score_failures_1"], (160 + 60 + 5) / 40.0, 1e-12);
  EXPECT_NEAR(values["score_failures_10"], (160 + 60 + 50) / 40.0, 1e-12);
  EXPECT_EQ(values["score_turn_1"], 8);
  EXPECT_EQ(values["score_turn_2"], 4);
  EXPECT_TRUE(values.contains("score.math"));
}

TEST_F(JudgingTest, TheMarksOfTwoJudgesStandSideBySide) {
  const std::vector<JudgedAnswer> answers = {contest().pairs[1].a};
  const std::map<std::string, int> marks = {{"kind", 9}, {"stern", 2}};
  for (const auto& [name, mark] : marks) {
    Judge one =
        judge([mark = mark](
                  const generate::Request&) { return str("[[", mark, "]]"); },
              name);
    for (int time = 0; time < 2;
         ++time) {  // the second takes the first's place
      eval::TaskResult result =
          judge_singles(one, "mt_bench", "long", answers, 1);
      result.settings.update(eval::decoding_part(Json()));
      eval::ResultsWriter(folder_.path()).merge({{}, {result}, {}});
    }
  }
  const eval::Results results = eval::read_results(folder_.path());
  ASSERT_EQ(results.results.size(), 2u);
  for (const eval::TaskResult& result : results.results) {
    const std::string name = result.settings["judge"];
    EXPECT_EQ(result.task, "mt_bench.judge." + name);
    EXPECT_EQ(result.metrics.at(0).value, marks.at(name));
    const std::vector<Json> items = eval::read_items(folder_.path(), result);
    ASSERT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0]["scores"]["single"], marks.at(name));
  }
  const auto report = report::evaluation_report(folder_.path(), results);
  ASSERT_TRUE(report);
  std::vector<std::string> headings;
  for (const report::Block& block :
       report::evaluation_section(*report).blocks) {
    if (block.kind == report::BlockKind::kHeading)
      headings.push_back(block.title);
  }
  EXPECT_THAT(headings,
              testing::ElementsAre(testing::EndsWith("judged by kind"),
                                   testing::EndsWith("judged by stern")));
}

TEST_F(JudgingTest, OfNoMarkAtAllThereIsNoMean) {
  std::vector<JudgedAnswer> answers;
  for (const AnswerPair& pair : contest().pairs) answers.push_back(pair.a);
  Judge one = judge([](const generate::Request&) { return "well"; });
  const eval::TaskResult found =
      judge_singles(one, "mt_bench", "long", answers, 1);
  EXPECT_EQ(found.num_failures, 40);
  EXPECT_TRUE(found.metrics.empty());
}

TEST_F(JudgingTest, OfNoVerdictAtAllThereIsNoShare) {
  const std::vector<JudgedAnswer> answers = {
      {"1", "", {"Why?"}, {"So."}, {}, {}, {}}};
  Judge one = judge([](const generate::Request& request) {
    return request.prefix->find("truthful if") != std::string::npos ? "hm"
                                                                    : "[[yes]]";
  });
  const eval::TaskResult found =
      judge_truth(one, "truthfulqa_generation", "base", answers);
  ASSERT_EQ(found.metrics.size(), 1u);
  EXPECT_EQ(found.metrics[0].name, "informative");
  EXPECT_EQ(found.num_failures, 1);
}

TEST_F(JudgingTest, TruthAndInformation) {
  std::vector<JudgedAnswer> answers;
  for (int i = 0; i < 10; ++i) {
    answers.push_back({std::to_string(i),
                       "",
                       {"Why?"},
                       {"answer " + std::to_string(i)},
                       {},
                       {"So."},
                       {"No."}});
  }
  Judge one = judge([](const generate::Request& request) -> std::string {
    const bool truth = request.prefix->find("truthful if") != std::string::npos;
    const char last = request.suffix[request.suffix.find("answer ") + 7];
    if (truth) return last < '6' ? "[[yes]]" : last == '9' ? "?" : "[[no]]";
    return last < '2' ? "no" : "yes";
  });
  const eval::TaskResult found =
      judge_truth(one, "truthfulqa_generation", "base", answers);
  ASSERT_EQ(found.metrics.size(), 3u);
  EXPECT_DOUBLE_EQ(found.metrics[0].value, 0.6);
  EXPECT_DOUBLE_EQ(found.metrics[1].value, 0.8);
  EXPECT_DOUBLE_EQ(found.metrics[2].value, 0.4);
  EXPECT_EQ(found.num_failures, 1);
  EXPECT_THAT(found.metrics[0].note, testing::HasSubstr("70.0 %"));
}

TEST_F(JudgingTest, APersonSeesNoNamesAndGoesOnWhereItStopped) {
  const Contest shown = contest();
  const std::string path = folder_.path() + "/judgements/human.me.jsonl";
  const auto press = [](HumanSession& session) {
    const BlindItem item = session.item();
    const bool first = item.first.back().size() > item.second.back().size();
    session.decide(first ? Verdict::kFirst : Verdict::kSecond);
  };
  size_t num_first_is_a = 0;
  {
    eval::ItemLog log(path);
    HumanSession session(shown, "human.me", 1, log);
    EXPECT_EQ(session.size(), 40u);
    session.skip();
    for (int i = 0; i < 10; ++i) press(session);
    EXPECT_EQ(session.comparison(1).pairs->counts.num_items, 10);
  }
  eval::ItemLog log(path);
  HumanSession session(shown, "human.me", 1, log);
  EXPECT_EQ(session.size(), 30u);
  while (!session.at_end()) press(session);
  const eval::Comparison found = session.comparison(1);
  EXPECT_EQ(found.pairs->counts.num_items, 40);
  EXPECT_EQ(found.num_open, 0);
  EXPECT_EQ(found.pairs->counts.win_rate, 0.75);
  EXPECT_EQ(found.pairs->counts.failures, 0);
  for (const Json& item : eval::read_items(path))
    num_first_is_a += item["first"] == "a";
  EXPECT_GT(num_first_is_a, 5u);
  EXPECT_LT(num_first_is_a, 35u);
  // An oracle of the same mind agrees in all.
  Judge one = judge(oracle);
  const eval::Comparison model = judge_pairs(one, shown, 1);
  const auto agreed = agreements(folder_.path(), model, {found, model});
  expect_agrees_in_all(agreed, "human.me");
}

// A judge saw other answers to the same questions before: those verdicts stay
// in its file and out of every figure.
TEST_F(JudgingTest, VerdictsOnOtherAnswersAreOfNoComparison) {
  Contest before = contest();
  for (AnswerPair& pair : before.pairs) {
    pair.a.answers = {"an older one", "and too"};
  }
  Judge one = judge(oracle);
  const eval::Comparison old = judge_pairs(one, before, 1);
  const eval::Comparison found = judge_pairs(one, contest(), 1);
  EXPECT_EQ(found.keys.size(), 84u);  // both orders, and identical answers
  EXPECT_EQ(logged_pairs(folder_.path(), found, "long").size(), 40u);
  EXPECT_EQ(count_pairs(logged_pairs(folder_.path(), found, "long")).wins_a,
            found.pairs->counts.wins_a);
  EXPECT_EQ(count_pairs(logged_pairs(folder_.path(), old, "long")).wins_a,
            old.pairs->counts.wins_a);
  // Another judge agrees with it about the same answers, seen from either
  // side, and has nothing in common with the older verdicts.
  Contest mirrored{"mt_bench", "short", "long", {}};
  for (const AnswerPair& pair : contest().pairs) {
    mirrored.pairs.push_back({pair.b, pair.a});
  }
  Judge other = judge(oracle, "other");
  const eval::Comparison second = judge_pairs(other, mirrored, 1);
  const auto agreed = agreements(folder_.path(), second, {found, second});
  expect_agrees_in_all(agreed, "scripted");
  EXPECT_TRUE(agreements(folder_.path(), second, {old, second}).empty());
}

TEST_F(JudgingTest, ReferencesAreShownOfMathAlone) {
  JudgedAnswer math = answer(1, "x");
  math.reference = {"42", ""};
  EXPECT_EQ(single_inquiry(math, 0).role, "single_reference");
  EXPECT_EQ(single_inquiry(math, 1).role, "single_turns");
  math.reference[1] = "43";
  EXPECT_EQ(pair_inquiry(math, math, 1).role, "pair_turns_reference");
  math.category = "stem";
  EXPECT_EQ(single_inquiry(math, 0).role, "single");
}

}  // namespace
}  // namespace selfalign::judge
