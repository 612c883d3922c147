// SPDX-License-Identifier: Apache-2.0
#include "inspect/stats.h"

#include <gmock/gmock.h>

#include "parse/repetition.h"
#include "stages/testing.h"

namespace selfalign::inspect {
namespace {

using ::testing::HasSubstr;

TEST(Distribution, RanksAndBins) {
  std::vector<double> values;
  for (int i = 100; i > 0; --i) values.push_back(i);
  const Distribution all = distribution(values);
  EXPECT_EQ(all.p10, 10.0);
  EXPECT_EQ(all.p50, 50.0);
  EXPECT_EQ(all.p90, 90.0);
  EXPECT_EQ(all.mean, 50.5);
  EXPECT_EQ(all.max, 100.0);
  int64_t sum = 0;
  for (const HistogramBin& bin : all.histogram) sum += bin.count;
  EXPECT_EQ(sum, 100);
  EXPECT_EQ(all.histogram.size(), 10u);
  EXPECT_EQ(dump_json(to_json(distribution({}))), "{\"count\":0}");
  EXPECT_EQ(distribution({3.0}).histogram.size(), 1u);
  EXPECT_EQ(distribution({3.0}).p10, 3.0);
}

TEST(DistinctNgrams, CountsDifferentOnes) {
  const DistinctNgrams distinct = distinct_ngrams({"a b a", "A b"});
  EXPECT_DOUBLE_EQ(distinct.shares[0], 2.0 / 5.0);
  EXPECT_DOUBLE_EQ(distinct.shares[1], 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(distinct.shares[2], 1.0);
  EXPECT_EQ(distinct_ngrams({}).shares[0], 0.0);
}

TEST(RepeatedShare, IsOfThreeWordsThatStoodThereBefore) {
  EXPECT_EQ(parse::repeated_share("one two"), 0.0);
  EXPECT_EQ(parse::repeated_share("one two three, four five"), 0.0);
  // one two three, two three one, three one two; one two three again.
  EXPECT_DOUBLE_EQ(parse::repeated_share("One two three. One two three!"),
                   1.0 / 4.0);
}

using StatsTest = stages::SmallRun;

TEST_F(StatsTest, CountsWhatTheRunHas) {
  store_->add_rows({{1,
                     "instruct.seeds",
                     0,
                     {},
                     Json{{"instruction", "Write a poem about roses."}}}});
  recipe::Recipe recipe;
  recipe.name = "small";
  const RunStats stats = run_stats(recipe, prompts_, *store_);
  const InstructionStats& instructions = stats.instructions;
  EXPECT_EQ(instructions.words.count, 3);
  EXPECT_EQ(instructions.nearest_seed->max, 1.0);
  EXPECT_EQ(instructions.root_verbs.num_found, 2);
  const VerbCount& second = instructions.root_verbs.top.at(1);
  EXPECT_EQ(second.verb, "write");
  EXPECT_EQ(*find_named(second.nouns, "poem"), 1);
  EXPECT_EQ(find_named(stats.duplicates, "instruct.tasks")->num_duplicates, 1);
  const AnswerStats& answers = *find_named(stats.answers, "align.pairs");
  EXPECT_EQ(answers.tokens.p50, 5.0);
  EXPECT_EQ(answers.share_ended, 1.0);
  const std::string third = "3 (" + prompts_.principles[2].name + ")";
  EXPECT_EQ(*find_named(stats.principles, third), 2);
  const std::string text = stats_text(stats, 80);
  for (const char* part :
       {"# small", "instructions kept: 3", "write              1  poem 1",
        "1 of 4 rejected as duplicates (25.0 %)", "align.pairs: 2",
        "most common openings: "}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace selfalign::inspect
