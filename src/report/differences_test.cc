// SPDX-License-Identifier: Apache-2.0
#include "report/differences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "base/file.h"
#include "eval/item_log.h"
#include "report/tables.h"

namespace selfalign::report {
namespace {

using ::testing::HasSubstr;

class VerboseTaxTest : public testing::Test {
 protected:
  // Items 0..num-1 of a subject, answered and scored by `make`.
  template <typename Make>
  void ask(const std::string& subject, int num, const Make& make) {
    const std::string items = "items/" + subject + "/mc.jsonl";
    eval::ItemLog log(folder_ + "/" + items);
    for (int i = 0; i < num; ++i) {
      Json item = make(i);
      item["id"] = "q" + std::to_string(i);
      item["question"] = "Question " + std::to_string(i);
      log.add(uint64_t(i + 1), item);
    }
    eval::TaskResult result;
    result.task = "mc";
    result.subject = subject;
    result.items = items;
    result.metrics = {{.name = "mc1",
                       .title = "MC1",
                       .value = 0.5,
                       .low = 0.4,
                       .high = 0.6,
                       .interval = "Wilson",
                       .num_items = num,
                       .chance = 0.25,
                       .higher_is_better = true,
                       .note = ""}};
    results_.results.push_back(result);
    results_.subjects.push_back({subject, subject + " model", "m", "", "f"});
  }

  std::vector<SubjectDifferences> all() const {
    return differences(folder_, results_, nullptr);
  }
  // The pair of engraved and verbose; without rows where there is none.
  SubjectDifferences tax() const {
    for (const SubjectDifferences& pair : all()) {
      if (is_verbose_tax(pair)) return pair;
    }
    return {};
  }
  static ScoreDifference row(const SubjectDifferences& pair,
                             const std::string& score) {
    for (const ScoreDifference& one : pair.rows) {
      if (one.score == score) return one;
    }
    ADD_FAILURE() << "no row of " << score;
    return {};
  }

  ScratchFolder scratch_;
  const std::string folder_ = scratch_.path();
  eval::Results results_;
};

TEST_F(VerboseTaxTest, FindsAKnownDifferenceOnTheSameItems) {
  // mc1 falls on every fourth of 40 items and nowhere else; answers get three
  // words longer on each, so that difference has no spread.
  ask("engraved", 40, [](int i) {
    return Json{{"scores", {{"mc1", 1}, {"mc2", 0.1 * (i % 10)}}},
                {"answer", "one two"},
                {"tokens", 5},
                {"finish", "stop"}};
  });
  ask("verbose", 40, [](int i) {
    return Json{{"scores", {{"mc1", i % 4 ? 1 : 0}, {"mc2", 0.1 * (i % 10)}}},
                {"answer", "one two three four five"},
                {"tokens", Json::array({5, 6})},
                {"finish", i < 10 ? "length" : "stop"}};
  });
  const SubjectDifferences tax = this->tax();
  const ScoreDifference mc1 = row(tax, "mc1");
  EXPECT_DOUBLE_EQ(mc1.before, 1.0);
  EXPECT_DOUBLE_EQ(mc1.after, 0.75);
  EXPECT_DOUBLE_EQ(mc1.change.difference, -0.25);
  EXPECT_EQ(mc1.change.n, 40);
  EXPECT_LT(mc1.change.low, -0.3);
  EXPECT_GT(mc1.change.high, -0.2);
  EXPECT_LT(mc1.change.high, 0.0);
  EXPECT_DOUBLE_EQ(row(tax, "mc2").change.difference, 0.0);
  EXPECT_DOUBLE_EQ(row(tax, "words").change.low, 3.0);
  EXPECT_DOUBLE_EQ(row(tax, "words").change.high, 3.0);
  EXPECT_DOUBLE_EQ(row(tax, "tokens").after, 11.0);
  EXPECT_DOUBLE_EQ(row(tax, "ended").change.difference, -0.25);
}

TEST_F(VerboseTaxTest, ComparesOnlyItemsAndScoresThatBothHave) {
  ask("engraved", 3, [](int i) {
    return Json{{"scores", {{"mc1", i}, {"old", 1}}}};
  });
  ask("verbose", 5, [](int i) { return Json{{"scores", {{"mc1", i + 2}}}}; });
  const SubjectDifferences tax = this->tax();
  ASSERT_EQ(tax.rows.size(), 1u);
  EXPECT_EQ(tax.rows[0].change.n, 3);
  EXPECT_DOUBLE_EQ(tax.rows[0].change.difference, 2.0);
}

TEST_F(VerboseTaxTest, IsEmptyWithoutBothSides) {
  ask("engraved", 2, [](int) { return Json{{"scores", {{"mc1", 1}}}}; });
  EXPECT_TRUE(tax().rows.empty());
}

// Names of the pairs that there are, "a b".
std::vector<std::string> names(const std::vector<SubjectDifferences>& pairs) {
  std::vector<std::string> out;
  for (const SubjectDifferences& pair : pairs) {
    out.push_back(pair.before + " " + pair.after);
  }
  return out;
}

TEST_F(VerboseTaxTest, TheClaimsOfTheMethodArePairsToo) {
  // On each item the engraved model is 0.1 above the prompted base, and that
  // 0.2 above the plain one, though items differ widely: no spread is left.
  for (const auto& [subject, above] :
       {std::pair{"base", 0.0}, std::pair{"prompted", 0.2},
        std::pair{"engraved", 0.3}, std::pair{"other", -0.5}}) {
    ask(subject, 20, [above = above](int i) {
      return Json{{"scores",
                   {{"mc1", double(i % 5) + above}, {"mc1.part", double(i)}}}};
    });
  }
  const auto pairs = all();
  EXPECT_THAT(names(pairs),
              testing::ElementsAre("prompted engraved", "base prompted",
                                   "base engraved", "base other"));
  EXPECT_NEAR(row(pairs[0], "mc1").change.difference, 0.1, 1e-12);
  EXPECT_NEAR(row(pairs[0], "mc1").change.low, 0.1, 1e-9);
  EXPECT_NEAR(row(pairs[3], "mc1").change.high, -0.5, 1e-9);
  const std::string text = differences_text(pairs);
  EXPECT_THAT(text, HasSubstr("prompted  engraved  mc    mc1     2.200"));
  EXPECT_THAT(text, HasSubstr("0.100 [0.100, 0.100]"));
  EXPECT_THAT(text, testing::Not(HasSubstr("mc1.part")));
  EXPECT_EQ(differences_text({}), "");
}

// Other sizes of a run, say, whatever they are called.
TEST_F(VerboseTaxTest, EveryAdapterIsSetAgainstThePromptedBase) {
  for (const char* subject :
       {"base", "prompted", "engraved", "verbose", "half", "other"}) {
    ask(subject, 3, [](int i) { return Json{{"scores", {{"mc1", i}}}}; });
    const std::string name = subject;
    if (name != "base" && name != "prompted" && name != "other") {
      results_.subjects.back().adapter = name + "/adapter";
    }
  }
  EXPECT_THAT(
      names(all()),
      testing::ElementsAre("prompted engraved", "prompted half",
                           "engraved verbose", "base prompted", "base engraved",
                           "base verbose", "base half", "base other"));
}

TEST_F(VerboseTaxTest, AnswersUnderOtherDecodingsAreNotCompared) {
  const auto decoded = [this](const std::string& subject, const char* how,
                              double temperature) {
    ask(subject, 4, [](int i) { return Json{{"scores", {{"mc1", i}}}}; });
    results_.results.back().settings = {
        {"decoding", how}, {"sampling", {{"temperature", temperature}}}};
  };
  decoded("base", "one", 0.7);
  decoded("engraved", "one", 0.7);
  decoded("verbose", "one", 0.3);
  EXPECT_THAT(names(all()), testing::ElementsAre("base engraved"));
  decoded("verbose", "own", 0.7);
  EXPECT_EQ(all().size(), 1);
  decoded("engraved", "own", 0.5);
  const auto pairs = all();
  EXPECT_THAT(names(pairs),
              testing::ElementsAre("engraved verbose", "base engraved"));
  EXPECT_EQ(pairs[0].rows[0].decoding, "own");
  EXPECT_THAT(differences_text(pairs), HasSubstr("mc (own)"));
}

TEST_F(VerboseTaxTest, ATableIsOfOneDecodingAndSaysWhich) {
  for (const char* how : {"one", "own"}) {
    for (const char* subject : {"base", "verbose"}) {
      ask(subject, 2, [](int) { return Json{{"scores", {{"mc1", 1}}}}; });
      results_.results.back().settings = {
          {"decoding", how},
          {"sampling",
           {{"temperature", subject == std::string("base") ? 0.7 : 0.3},
            {"max_new_tokens", 9}}}};
    }
  }
  results_.results[1].settings["sampling"]["temperature"] = 0.7;
  const auto evaluation = evaluation_report(folder_, results_);
  ASSERT_EQ(evaluation->tables.size(), 2u);
  const ModelTable& one = evaluation->tables[0];
  EXPECT_EQ(one.name, "mc");
  EXPECT_EQ(one.models.size(), 2u);
  EXPECT_THAT(one.decoding_lines,
              testing::ElementsAre("Decoding of all: temperature 0.7, at most "
                                   "9 tokens, no penalty"));
  const ModelTable& own = evaluation->tables[1];
  EXPECT_EQ(own.name, "mc (2)");
  EXPECT_EQ(own.decoding, "own");
  ASSERT_EQ(own.decoding_lines.size(), 3u);
  EXPECT_EQ(own.decoding_lines[2],
            "verbose: temperature 0.3, at most 9 tokens, no penalty");
  EXPECT_NE(find_named(evaluation->items, "mc (2)"), nullptr);
}

TEST(TextScores, CountWhatIsRepeated) {
  const Json once = text_scores({{"answer", "a b c d e f"}});
  EXPECT_DOUBLE_EQ(once["repetition"], 0.0);
  const Json twice = text_scores({{"answer", "a b c a b c"}});
  EXPECT_DOUBLE_EQ(twice["repetition"], 0.25);  // abc of abc bca cab abc
  EXPECT_FALSE(once.contains("tokens"));
  EXPECT_TRUE(text_scores({{"scores", Json::object()}}).empty());
}

TEST_F(VerboseTaxTest, TablesHaveARowAModelAndItemsStandSideBySide) {
  ask("base", 30, [](int i) {
    return Json{{"scores", {{"mc1", i % 2}}},
                {"answer", std::string(4000, 'x')}};
  });
  ask("verbose", 30, [](int) {
    return Json{{"scores", {{"mc1", 1}}}, {"choices", {"a", "b"}}};
  });
  const auto evaluation = evaluation_report(folder_, results_);
  const ModelTable& table = evaluation->tables.at(0);
  EXPECT_EQ(table.task, "mc");
  EXPECT_EQ(table.metrics.at(0).chance, 0.25);
  ASSERT_EQ(table.models.size(), 2u);
  EXPECT_EQ(table.models[1].title, "verbose model");
  EXPECT_DOUBLE_EQ(find_named(table.models[1].figures, "mc1")->high, 0.6);
  const ShownItems& items = *find_named(evaluation->items, "mc");
  EXPECT_EQ(items.num_items, 30);
  EXPECT_EQ(items.num_shown, 24);
  const ShownItem& last = items.items.at(23);
  EXPECT_EQ(last.id, "q28");
  const ShownAnswer& of_base = *find_named(last.answers, "base");
  EXPECT_EQ(of_base.scores["mc1"], 0);
  EXPECT_LT(of_base.answer.size(), 1600u);
  EXPECT_THAT(find_named(last.answers, "verbose")->more, HasSubstr("choices"));
  EXPECT_FALSE(evaluation_report(folder_, {}));
}

}  // namespace
}  // namespace selfalign::report
