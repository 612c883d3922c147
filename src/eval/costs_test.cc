// SPDX-License-Identifier: Apache-2.0
#include "eval/costs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "eval/item_log.h"

namespace selfalign::eval {
namespace {

using testing::HasSubstr;

TaskResult result_of(const std::string& task, const std::string& items,
                     std::vector<uint64_t> keys) {
  TaskResult result;
  result.task = task;
  result.subject = "gpt";
  result.items = items;
  result.keys = std::move(keys);
  return result;
}

TEST(CostsTest, EveryItemCountsOnceHoweverManyResultsItIsIn) {
  const ScratchFolder folder;
  {
    ItemLog answers(folder.path() + "/items/gpt/mt_bench.jsonl");
    answers.add(
        1,
        Json{{"id", "1"}, {"tokens", {10, 20}}, {"prompt_tokens", {100, 200}}});
    answers.add(2, Json{{"id", "2"}, {"tokens", {1, 1}}});  // no longer used
    ItemLog judgements(folder.path() + "/judgements/j.jsonl");
    judgements.add(3, Json{{"id", "1"}, {"tokens", 7}, {"prompt_tokens", 500}});
    judgements.add(4, Json{{"id", "1"},
                           {"tokens", 3},
                           {"prompt_tokens", 400},
                           {"tokens_estimated", true}});
    judgements.add(5, Json{{"id", "1"}, {"verdict", "first"}});
  }
  Results results;
  results.results = {
      result_of("mt_bench", "items/gpt/mt_bench.jsonl", {1}),
      result_of("mt_bench.judge.j", "judgements/j.jsonl", {3, 5})};
  results.comparisons = {{.task = "mt_bench",
                          .judge = "j",
                          .a = "gpt",
                          .b = "other",
                          .judgements = "judgements/j.jsonl",
                          .keys = {3, 4}}};
  const SubjectUsage subject = usage_of(
      folder.path(), results, {"subject", "gpt", "http://a#gpt", {1e6, 2e6}});
  EXPECT_EQ(subject.report.usage.num_requests, 2);
  EXPECT_EQ(subject.report.usage.num_prompt_tokens, 300);
  EXPECT_EQ(subject.report.usage.num_tokens, 30);
  EXPECT_EQ(subject.report.cost->cost, 360.0);
  const SubjectUsage judge =
      usage_of(folder.path(), results, {"judge", "j", "http://a#j", {}});
  EXPECT_EQ(judge.report.usage.num_requests, 2);
  EXPECT_EQ(judge.report.usage.num_prompt_tokens, 900);
  EXPECT_EQ(judge.report.usage.num_estimated, 1);
  EXPECT_FALSE(judge.report.cost);
  // A result that names no items is of none, and not of its whole file.
  results.results[0].keys.clear();
  const SubjectUsage none = usage_of(
      folder.path(), results, {"subject", "gpt", "http://a#gpt", {1e6, 2e6}});
  EXPECT_EQ(none.report.usage.num_requests, 0);
  EXPECT_EQ(none.report.cost->cost, 0.0);
  results.results[0].keys = {1};
  // The price that was known stays.
  results.usage = {subject};
  EXPECT_EQ(
      usage_of(folder.path(), results, {"subject", "gpt", "http://a#gpt", {}})
          .report.cost->cost,
      360.0);
  EXPECT_THAT(costs_text({subject, judge}),
              HasSubstr("subject gpt: 2 requests, 300 tokens in, 30 out, cost "
                        "360.0000\n  judge j: "));
  EXPECT_THAT(costs_text({subject, subject}), HasSubstr("together: 720.0000"));
  EXPECT_EQ(costs_text({}), "");
}

}  // namespace
}  // namespace selfalign::eval
