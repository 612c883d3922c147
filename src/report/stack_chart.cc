// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "base/error.h"
#include "report/charts.h"
#include "report/svg.h"

namespace selfalign::report {
namespace {

constexpr double kRow = 38.0;  // label above, bar below
constexpr double kBar = 16.0;
constexpr double kKeyRow = 18.0;  // of the key at the foot
constexpr size_t kLabelChars = 52;

bool is_drawn(double value) { return std::isfinite(value) && value > 0.0; }

void draw_stack(const Stack& stack, double y, Svg& svg) {
  svg.text("name", 1.0, y + 12.0, "start", shorten(stack.label, kLabelChars));
  double sum = 0.0;
  for (const double value : stack.values) sum += is_drawn(value) ? value : 0.0;
  double x = 1.0;
  for (size_t i = 0; i < stack.values.size(); ++i) {
    if (!is_drawn(stack.values[i])) continue;
    const double width = (kChartWidth - 2.0) * stack.values[i] / sum;
    svg.rect(str("s", i), x, y + 17.0, width, kBar);
    const std::string text = figure_text(stack.values[i], Unit::kCount);
    if (width > 8.0 * double(text.size()) + 4.0) {
      svg.text(str("on s", i, "t"), x + width / 2, y + 29.0, "middle", text);
    }
    x += width;
  }
}

}  // namespace

std::string stack_svg(const StackChart& chart, const std::string& id) {
  const double bottom = 4.0 + kRow * double(chart.stacks.size());
  const size_t num_key_rows = (chart.parts.size() + 1) / 2;
  Svg svg(kChartWidth, bottom + 6.0 + kKeyRow * double(num_key_rows),
          chart.title, chart.description, id);
  for (size_t i = 0; i < chart.stacks.size(); ++i) {
    draw_stack(chart.stacks[i], kRow * double(i), svg);
  }
  for (size_t i = 0; i < chart.parts.size(); ++i) {
    const double x = i % 2 == 0 ? 1.0 : kChartWidth / 2;
    const double y = bottom + 4.0 + kKeyRow * double(i / 2);
    svg.rect(str("s", i), x, y + 1.0, 11.0, 11.0);
    svg.text("tick", x + 16.0, y + 11.0, "start", chart.parts[i]);
  }
  return svg.end();
}

Table stack_table(const StackChart& chart) {
  Table table{chart.title, {""}, {}};
  table.columns.insert(table.columns.end(), chart.parts.begin(),
                       chart.parts.end());
  for (const Stack& stack : chart.stacks) {
    std::vector<std::string> row = {stack.label};
    for (const double value : stack.values) {
      row.push_back(figure_text(value, Unit::kCount));
    }
    row.resize(table.columns.size(), "–");
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace selfalign::report
