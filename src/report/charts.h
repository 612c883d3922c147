// SPDX-License-Identifier: Apache-2.0
// The report's charts as SVG: bars with intervals, lines, heat maps, stacks.
// Own code, because a page that opens offline brings everything with it and a
// chart here is also its own table of data. Colours and type come from the
// page's style sheet through classes, so that a chart is legible in light and
// dark.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace selfalign::report {

// How a figure is written: "30.4 %" of 0.304, "1,234", "0.0123".
enum class Unit { kShare, kCount, kNumber };
std::string figure_text(double value, Unit unit);
std::string count_text(int64_t count);
// "30.4 % [28.1, 32.9]"
std::string interval_text(double value, double low, double high, Unit unit);

struct Table {
  std::string caption;
  std::vector<std::string> columns;
  // As many cells as columns. The first one of a row is its heading; the others
  // are set as figures where they hold nothing else.
  std::vector<std::vector<std::string>> rows;
};

struct Bar {
  std::string label;
  double value = 0.0;
  std::optional<double> low = {};  // interval, both or none
  std::optional<double> high = {};
  std::optional<double> whole = {};  // a pale bar behind: of how many
};
struct BarChart {
  std::string title;
  std::string description;
  Unit unit = Unit::kShare;
  std::vector<Bar> bars = {};
  std::optional<double> reference = {};  // a dashed line, as of a guesser
  std::string reference_name = {};
  std::string whole_name = "of";  // heading of Bar::whole in the table
};

struct Point {
  double x = 0.0;
  double y = 0.0;
};
struct LineChart {
  std::string title;
  std::string description;
  std::string x_name;
  std::string y_name;
  // By x. Of more than 240 points, means of neighbours are drawn and listed.
  std::vector<Point> points = {};
};

struct HeatMap {
  std::string title;
  std::string description;
  std::string row_name;                // heading of the row labels in the table
  std::vector<std::string> rows = {};  // labels
  std::vector<std::string> columns = {};       // short: cells are narrow
  std::vector<std::string> long_columns = {};  // for the table
  Unit unit = Unit::kShare;  // kShare is drawn as whole per cents
  std::vector<std::vector<std::optional<double>>> values = {};  // [row][col]
};

// Bars of one length, divided by shares of their sum.
struct Stack {
  std::string label;
  std::vector<double> values = {};  // 0 or more, one for each part
};
struct StackChart {
  std::string title;
  std::string description;
  std::vector<std::string> parts = {};  // names, up to four
  std::vector<Stack> stacks = {};
};

using Chart = std::variant<BarChart, LineChart, HeatMap, StackChart>;

const std::string& chart_title(const Chart& chart);
// The figures that the chart draws.
Table chart_table(const Chart& chart);
// <svg> with title and description, which it is labelled by. `id` is unique in
// the page. Text may be anything; it comes out escaped. Values that are not
// finite are left out.
std::string chart_svg(const Chart& chart, const std::string& id);

// Of a chart of parts, in stack_chart.cc.
Table stack_table(const StackChart& chart);
std::string stack_svg(const StackChart& chart, const std::string& id);

}  // namespace selfalign::report
