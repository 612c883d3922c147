// SPDX-License-Identifier: Apache-2.0
#include "report/charts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <regex>

namespace selfalign::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

int count_of(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

// The attribute of the n-th element that has the class.
double attribute(const std::string& svg, const std::string& type,
                 const std::string& name, int n = 0) {
  size_t at = 0;
  for (int i = 0; i <= n; ++i) {
    at = svg.find("class=\"" + type + "\"", at) + 1;
  }
  const size_t begin = svg.find(" " + name + "=\"", at) + name.size() + 3;
  return std::stod(svg.substr(begin));
}

TEST(FigureText, SaysSharesInPerCentAndCountsInThousands) {
  EXPECT_EQ(figure_text(0.3036, Unit::kShare), "30.4 %");
  EXPECT_EQ(figure_text(-0.02, Unit::kShare), "-2.0 %");
  EXPECT_EQ(figure_text(1234567, Unit::kCount), "1,234,567");
  EXPECT_EQ(figure_text(-1234, Unit::kCount), "-1,234");
  EXPECT_EQ(figure_text(0.000123456, Unit::kNumber), "0.000123");
  EXPECT_EQ(figure_text(2.4799, Unit::kNumber), "2.48");
  EXPECT_EQ(figure_text(std::nan(""), Unit::kShare), "–");
  EXPECT_EQ(interval_text(0.5, 0.4, 0.61, Unit::kShare), "50.0 % [40.0, 61.0]");
}

TEST(BarChart, DrawsBarsIntervalsAndTheReferenceToScale) {
  const BarChart chart{
      .title = "MC1",
      .description = "Shares",
      .bars = {{"base", 0.2, 0.1, 0.3, {}}, {"verbose", 0.4, 0.35, 0.45, {}}},
      .reference = 0.2,
      .reference_name = "chance"};
  const std::string svg = chart_svg(chart, "c1");
  const double base = attribute(svg, "bar", "width", 0);
  EXPECT_NEAR(attribute(svg, "bar", "width", 1), 2 * base, 0.2);
  const double zero = attribute(svg, "bar", "x", 0);
  EXPECT_NEAR(attribute(svg, "reference", "x1"), zero + base, 0.2);
  EXPECT_NEAR(attribute(svg, "whisker", "x1", 0), zero + base / 2, 0.2);
  EXPECT_NEAR(attribute(svg, "whisker", "x2", 0), zero + base * 1.5, 0.2);
  EXPECT_THAT(svg, HasSubstr("role=\"img\""));
  EXPECT_THAT(svg, HasSubstr("aria-labelledby=\"c1-t c1-d\""));
  EXPECT_THAT(svg, HasSubstr("<title id=\"c1-t\">MC1</title>"));
  EXPECT_THAT(svg, HasSubstr("<desc id=\"c1-d\">Shares</desc>"));
  const Table table = chart_table(chart);
  EXPECT_THAT(table.columns, ElementsAre("", "value", "95 % from", "to"));
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_THAT(table.rows[0], ElementsAre("base", "20.0 %", "10.0 %", "30.0 %"));
  EXPECT_THAT(table.rows[2], ElementsAre("chance", "20.0 %", "–", "–"));
}

TEST(BarChart, DifferencesGoToBothSidesOfZero) {
  const BarChart chart{.title = "d",
                       .description = "",
                       .bars = {{"a", -0.1, -0.2, 0.05, {}}, {"b", 0.2}}};
  const std::string svg = chart_svg(chart, "c");
  const double left = attribute(svg, "bar", "x", 0);
  const double width = attribute(svg, "bar", "width", 0);
  EXPECT_NEAR(left + width, attribute(svg, "bar", "x", 1), 0.2);
  EXPECT_GT(width, 5.0);
  EXPECT_THAT(svg, HasSubstr("-10.0 %"));
}

// Long labels stand above their bars, clear of the lines at both ends.
TEST(BarChart, LongLabelsAndFiguresStandBetweenTheLines) {
  const BarChart chart{.title = "d",
                       .description = "",
                       .bars = {{"answers under the principles", 1.0}}};
  const std::string svg = chart_svg(chart, "c1");
  EXPECT_GT(attribute(svg, "name", "x"), attribute(svg, "axis", "x1") + 2);
  const double bar =
      attribute(svg, "bar", "x") + attribute(svg, "bar", "width");
  EXPECT_LT(attribute(svg, "value", "x"), bar - 2);
}

TEST(BarChart, ShowsOfHowMany) {
  const BarChart chart{.title = "f",
                       .description = "",
                       .unit = Unit::kCount,
                       .bars = {{.label = "x", .value = 5.0, .whole = 10.0}},
                       .whole_name = "made"};
  const std::string svg = chart_svg(chart, "c");
  EXPECT_NEAR(attribute(svg, "whole", "width"),
              2 * attribute(svg, "bar", "width"), 0.2);
  EXPECT_THAT(chart_table(chart).rows[0], ElementsAre("x", "5", "10"));
}

TEST(BarChart, HostileLabelsAndFiguresDoNoHarm) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const BarChart chart{
      .title = "</title><script>x</script>",
      .description = "\"><svg onload=1>\xff",
      .bars = {{"<b>", nan, nan, inf, {}}, {"ok", 0.5, 0.1, nan, inf}},
      .reference = inf};
  const std::string svg = chart_svg(chart, "c");
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, Not(HasSubstr("<b>")));
  EXPECT_EQ(count_of(svg, "<svg"), 1);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  EXPECT_THAT(chart_svg(BarChart{.title = "none", .description = ""}, "c"),
              HasSubstr("</svg>"));
}

TEST(StackChart, PartsAreSharesOfTheWholeAndMeet) {
  const StackChart chart{.title = "outcomes",
                         .description = "",
                         .parts = {"won", "tie", "none", "lost"},
                         .stacks = {{"a <b>", {6, 3, 0, 1}}, {"c", {}}}};
  const std::string svg = chart_svg(chart, "c");
  const double won = attribute(svg, "s0", "width");
  EXPECT_NEAR(won, 2 * attribute(svg, "s1", "width"), 0.2);
  EXPECT_NEAR(won, 6 * attribute(svg, "s3", "width"), 0.6);
  EXPECT_NEAR(attribute(svg, "s0", "x") + won, attribute(svg, "s1", "x"), 0.2);
  EXPECT_EQ(count_of(svg, "class=\"s2\""), 1);  // in the key alone
  EXPECT_EQ(count_of(svg, "class=\"s3\""), 2);
  EXPECT_THAT(svg, Not(HasSubstr("<b>")));
  EXPECT_THAT(chart_table(chart).rows[0],
              ElementsAre("a <b>", "6", "3", "0", "1"));
  EXPECT_THAT(chart_table(chart).rows[1], ElementsAre("c", "–", "–", "–", "–"));
}

TEST(LineChart, GoesThroughItsPointsToScale) {
  const LineChart chart{.title = "loss",
                        .description = "",
                        .x_name = "step",
                        .y_name = "loss",
                        .points = {{1, 3}, {2, 2}, {3, 1}}};
  const std::string svg = chart_svg(chart, "c");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(
      svg, found,
      std::regex("points=\"([0-9.]+),([0-9.]+) ([0-9.]+),([0-9.]+) "
                 "([0-9.]+),([0-9.]+) \"")));
  const auto at = [&found](size_t i) { return std::stod(found[i]); };
  EXPECT_NEAR(at(3) - at(1), at(5) - at(3), 0.2);
  EXPECT_NEAR(at(4) - at(2), at(6) - at(4), 0.2);
  EXPECT_LT(at(2), at(6));  // the higher loss is nearer to the top
  EXPECT_THAT(chart_table(chart).rows[1], ElementsAre("2", "2"));
}

TEST(LineChart, ManyPointsBecomeMeansOfNeighbours) {
  LineChart chart{
      .title = "l", .description = "", .x_name = "x", .y_name = "y"};
  for (int i = 0; i < 480; ++i) {
    chart.points.push_back({double(i), i % 2 ? 3.0 : 1.0});
  }
  chart.points.push_back({480.0, std::nan("")});
  const Table table = chart_table(chart);
  ASSERT_EQ(table.rows.size(), 240u);
  EXPECT_THAT(table.rows[7], ElementsAre("14.5", "2"));
}

TEST(HeatMap, DarkerIsMoreAndNothingIsLeftOut) {
  const HeatMap map{.title = "h",
                    .description = "",
                    .row_name = "type",
                    .rows = {"a", "b"},
                    .columns = {"1", "2"},
                    .long_columns = {"1 ethical", "2 candor"},
                    .values = {{0.0, 0.25}, {std::nullopt, 1.0}}};
  const std::string svg = chart_svg(map, "c");
  EXPECT_EQ(count_of(svg, "class=\"h0\""), 1);
  EXPECT_EQ(count_of(svg, "class=\"h2\""), 1);
  EXPECT_EQ(count_of(svg, "class=\"h5\""), 1);
  EXPECT_EQ(count_of(svg, "<rect"), 3);
  EXPECT_THAT(svg, HasSubstr(">25</text>"));
  const Table table = chart_table(map);
  EXPECT_THAT(table.columns, ElementsAre("type", "1 ethical", "2 candor"));
  EXPECT_THAT(table.rows[1], ElementsAre("b", "–", "100.0 %"));
}

}  // namespace
}  // namespace selfalign::report
