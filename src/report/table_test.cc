// SPDX-License-Identifier: Apache-2.0
#include "report/table.h"

#include <gtest/gtest.h>

namespace selfalign::report {
namespace {

TEST(TableTest, SubjectsStandBesideEachOther) {
  eval::Metric metric;
  metric.name = "mc1";
  metric.value = 0.25;
  metric.low = 0.2;
  metric.high = 0.3;
  metric.interval = "Wilson";
  metric.chance = 0.226;
  metric.note = "a note";
  eval::TaskResult base;
  base.subject = "base";
  base.metrics = {metric};
  base.self_tests = {{"oracle", "100 %", "100 %", true}};
  eval::TaskResult other = base;
  other.subject = "other";
  other.metrics[0].value = 0.5;
  other.num_failures = 2;
  other.self_tests[0] = {"oracle", "100 %", "50 %", false};
  EXPECT_EQ(results_table("Title", {base, other}),
            "Title\n"
            "       chance  base                  other\n"
            "  mc1  0.226   0.250 [0.200, 0.300]  0.500 [0.200, 0.300]\n"
            "  mc1: a note\n"
            "  base: 1 of 1 self-tests passed, 0 items without an outcome\n"
            "  other: 0 of 1 self-tests passed, 2 items without an outcome\n"
            "  FAILED other, oracle: expected 100 %, found 50 %\n\n");
  EXPECT_EQ(results_table("Title", {}), "");
  base.settings = {{"decoding", "one"},
                   {"sampling", {{"temperature", 0.7}, {"max_new_tokens", 9}}}};
  EXPECT_NE(
      results_table("Title", {base})
          .find("\n  Decoding of all: temperature 0.7, at most 9 tokens, no "
                "penalty\n"),
      std::string::npos);
}

}  // namespace
}  // namespace selfalign::report
