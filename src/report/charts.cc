// SPDX-License-Identifier: Apache-2.0
#include "report/charts.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "base/error.h"
#include "report/markup.h"
#include "report/svg.h"

namespace selfalign::report {
namespace {

constexpr double kValueWidth = 66.0;   // column of figures right of the bars
constexpr double kLabelWidth = 112.0;  // of labels left of the bars
constexpr size_t kLabelChars = 17;     // that fit into it
constexpr size_t kLongLabelChars = 46;
constexpr double kLineGap = 4.0;  // between the outer lines and a text
constexpr size_t kMaxPoints = 240;
constexpr int kHeatSteps = 6;  // classes h0 .. h5 of the style sheet

std::string with_separators(int64_t value) {
  std::string digits = std::to_string(std::abs(value));
  for (size_t i = digits.size(); i > 3;) {
    i -= 3;
    digits.insert(i, 1, ',');
  }
  return (value < 0 ? "-" : "") + digits;
}

// The least of 1, 2, 5 times a power of ten that divides `span` into at most
// `most` steps.
double nice_step(double span, int most) {
  if (!(span > 0.0)) return 1.0;
  const double rough = span / most;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1.0 - 1e-9)) return factor * power;
  }
  return 10.0 * power;
}

struct Scale {
  double low = 0.0;
  double high = 1.0;
  double step = 1.0;
  double from = 0.0;  // pixels of low and high
  double to = 1.0;

  double operator()(double value) const {
    const double share = (std::clamp(value, low, high) - low) / (high - low);
    return from + share * (to - from);
  }
  std::vector<double> ticks() const {
    std::vector<double> all;
    for (int i = 0; low + i * step <= high + step * 1e-6; ++i) {
      all.push_back(low + i * step);
    }
    return all;
  }
};

// Whole steps around what is to be shown.
Scale scale_of(double low, double high, int most) {
  if (!(high > low)) high = low + 1.0;
  Scale scale;
  scale.step = nice_step(high - low, most);
  scale.low = std::floor(low / scale.step + 1e-9) * scale.step;
  scale.high = std::ceil(high / scale.step - 1e-9) * scale.step;
  return scale;
}

std::string tick_text(double value, double step, Unit unit) {
  const double shown = unit == Unit::kShare ? 100.0 * value : value;
  const double shown_step = unit == Unit::kShare ? 100.0 * step : step;
  if (std::abs(shown) < shown_step * 1e-6) return "0";
  if (shown_step >= 1.0) return with_separators(std::llround(shown));
  const int digits = int(std::ceil(-std::log10(shown_step) - 1e-9));
  if (digits <= 4) return rounded(shown, digits);
  std::ostringstream out;
  out << std::setprecision(2) << shown;
  return out.str();
}

bool is_drawn(const Bar& bar) { return std::isfinite(bar.value); }

bool has_interval(const Bar& bar) {
  return bar.low && bar.high && std::isfinite(*bar.low) &&
         std::isfinite(*bar.high);
}

Scale bar_scale(const BarChart& chart) {
  double low = 0.0;
  double high = 0.0;
  const auto include = [&](double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const Bar& bar : chart.bars) {
    include(bar.value);
    if (bar.low) include(*bar.low);
    if (bar.high) include(*bar.high);
    if (bar.whole) include(*bar.whole);
  }
  if (chart.reference) include(*chart.reference);
  return scale_of(low, high, 4);
}

// So that a number at an edge stays inside.
const char* anchor_at(double x) {
  if (x < 8.0) return "start";
  return x > kChartWidth - 12.0 ? "end" : "middle";
}

class BarDrawing {
 public:
  BarDrawing(const BarChart& chart, const std::string& id)
      : chart_(chart),
        scale_(bar_scale(chart)),
        labels_above_(std::any_of(
            chart.bars.begin(), chart.bars.end(),
            [](const Bar& bar) { return bar.label.size() > kLabelChars; })),
        row_(labels_above_ ? 34.0 : 24.0),
        bottom_(8.0 + row_ * double(chart.bars.size())),
        svg_(kChartWidth, bottom_ + 22.0, chart.title, chart.description, id) {
    scale_.from = labels_above_ ? 1.0 : kLabelWidth;
    scale_.to = kChartWidth - (labels_above_ ? 10.0 : kValueWidth);
  }

  std::string draw() {
    draw_axis();
    for (size_t i = 0; i < chart_.bars.size(); ++i) {
      draw_bar(chart_.bars[i], 8.0 + row_ * double(i));
    }
    if (chart_.reference && std::isfinite(*chart_.reference)) {
      const double x = scale_(*chart_.reference);
      svg_.line("reference", x, 4.0, x, bottom_);
    }
    return svg_.end();
  }

 private:
  void draw_axis() {
    for (const double tick : scale_.ticks()) {
      const double x = scale_(tick);
      svg_.line(std::abs(tick) < scale_.step * 1e-6 ? "axis" : "grid", x, 4.0,
                x, bottom_);
      svg_.text("tick", x, bottom_ + 14.0, anchor_at(x),
                tick_text(tick, scale_.step, chart_.unit));
    }
  }

  void draw_bar(const Bar& bar, double y) {
    const double top = y + (labels_above_ ? 17.0 : 4.0);
    const double height = 12.0;
    if (labels_above_) {
      svg_.text("name", scale_.from + kLineGap, y + 12.0, "start",
                shorten(bar.label, kLongLabelChars));
    } else {
      svg_.text("name", kLabelWidth - 8.0, y + 14.0, "end",
                shorten(bar.label, kLabelChars));
    }
    if (!is_drawn(bar)) return;
    const double zero = scale_(0.0);
    if (bar.whole) {
      svg_.rect("whole", zero, top, scale_(*bar.whole) - zero, height);
    }
    const double x = scale_(bar.value);
    svg_.rect("bar", std::min(zero, x), top, std::abs(x - zero), height);
    if (has_interval(bar)) {
      const double middle = top + height / 2;
      const double low = scale_(*bar.low), high = scale_(*bar.high);
      svg_.line("whisker", low, middle, high, middle);
      svg_.line("whisker", low, middle - 3.5, low, middle + 3.5);
      svg_.line("whisker", high, middle - 3.5, high, middle + 3.5);
    }
    svg_.text("value", labels_above_ ? scale_.to - kLineGap : kChartWidth - 2.0,
              labels_above_ ? y + 12.0 : top + 10.0, "end",
              figure_text(bar.value, chart_.unit));
  }

  const BarChart& chart_;
  Scale scale_;
  const bool labels_above_;
  const double row_;
  const double bottom_;
  Svg svg_;
};

// Means of neighbours, so that at most kMaxPoints are left.
std::vector<Point> thinned(const std::vector<Point>& points) {
  std::vector<Point> finite;
  for (const Point& point : points) {
    if (std::isfinite(point.x) && std::isfinite(point.y)) {
      finite.push_back(point);
    }
  }
  const size_t width = (finite.size() + kMaxPoints - 1) / kMaxPoints;
  if (width <= 1) return finite;
  std::vector<Point> means;
  for (size_t begin = 0; begin < finite.size(); begin += width) {
    const size_t end = std::min(begin + width, finite.size());
    Point sum;
    for (size_t i = begin; i < end; ++i) {
      sum.x += finite[i].x;
      sum.y += finite[i].y;
    }
    const double count = double(end - begin);
    means.push_back({sum.x / count, sum.y / count});
  }
  return means;
}

std::string draw_line(const LineChart& chart, const std::string& id) {
  constexpr double kHeight = 190.0, kLeft = 50.0, kBottom = 152.0;
  Svg svg(kChartWidth, kHeight, chart.title, chart.description, id);
  const std::vector<Point> points = thinned(chart.points);
  if (points.empty()) return svg.end();
  double low = points[0].y, high = points[0].y;
  for (const Point& point : points) {
    low = std::min(low, point.y);
    high = std::max(high, point.y);
  }
  Scale y = scale_of(low, high, 4);
  y.from = kBottom;
  y.to = 12.0;
  Scale x = scale_of(points.front().x, points.back().x, 5);
  x.from = kLeft;
  x.to = kChartWidth - 14.0;
  for (const double tick : y.ticks()) {
    svg.line("grid", kLeft, y(tick), x.to, y(tick));
    svg.text("tick", kLeft - 6.0, y(tick) + 4.0, "end",
             tick_text(tick, y.step, Unit::kNumber));
  }
  for (const double tick : x.ticks()) {
    svg.text("tick", x(tick), kBottom + 16.0, "middle",
             tick_text(tick, x.step, Unit::kNumber));
  }
  svg.line("axis", kLeft, kBottom, x.to, kBottom);
  svg.text("tick", x.to, kHeight - 6.0, "end", chart.x_name);
  svg.raw() << "<polyline class=\"line\" points=\"";
  for (const Point& point : points) {
    svg.raw() << at(x(point.x)) << "," << at(y(point.y)) << " ";
  }
  svg.raw() << "\"/>";
  return svg.end();
}

// Over all cells; shares are measured against a whole where they come near.
double heat_high(const HeatMap& map) {
  double high = 0.0;
  for (const auto& row : map.values) {
    for (const auto& value : row) {
      if (value && std::isfinite(*value)) high = std::max(high, *value);
    }
  }
  return high > 0.0 ? high : 1.0;
}

std::string heat_text(double value, Unit unit) {
  if (unit == Unit::kShare) return rounded(100.0 * value, 0);
  return unit == Unit::kCount ? with_separators(std::llround(value))
                              : rounded(value, 1);
}

std::string draw_heat(const HeatMap& map, const std::string& id) {
  constexpr double kCellWidth = 30.0, kCellHeight = 22.0, kTop = 24.0;
  constexpr double kLabels = 312.0;
  const double width = kLabels + kCellWidth * double(map.columns.size()) + 2.0;
  const double height = kTop + kCellHeight * double(map.rows.size()) + 2.0;
  Svg svg(width, height, map.title, map.description, id);
  const double high = heat_high(map);
  const auto left = [](size_t c) { return kLabels + kCellWidth * double(c); };
  for (size_t c = 0; c < map.columns.size(); ++c) {
    svg.text("tick", left(c) + kCellWidth / 2, kTop - 8.0, "middle",
             map.columns[c]);
  }
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const double y = kTop + kCellHeight * double(r);
    svg.text("name", kLabels - 8.0, y + 15.0, "end", shorten(map.rows[r], 44));
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const auto& value = map.values[r][c];
      if (!value || !std::isfinite(*value)) continue;
      const double share = std::clamp(*value / high, 0.0, 1.0);
      const int step =
          *value <= 0.0 ? 0 : 1 + int(share * (kHeatSteps - 1) * 0.999);
      svg.rect(str("h", step), left(c) + 1.0, y + 1.0, kCellWidth - 2.0,
               kCellHeight - 2.0);
      if (*value <= 0.0) continue;
      svg.text(str("heat t", step), left(c) + kCellWidth / 2, y + 15.0,
               "middle", heat_text(*value, map.unit));
    }
  }
  return svg.end();
}

Table bar_table(const BarChart& chart) {
  const auto any = [&chart](auto member) {
    return std::any_of(chart.bars.begin(), chart.bars.end(),
                       [&](const Bar& bar) { return bool(bar.*member); });
  };
  const bool intervals = any(&Bar::low), wholes = any(&Bar::whole);
  Table table{chart.title, {"", "value"}, {}};
  if (intervals) {
    table.columns.insert(table.columns.end(), {"95 % from", "to"});
  }
  if (wholes) table.columns.push_back(chart.whole_name);
  const auto cell = [&chart](const std::optional<double>& value) {
    return value ? figure_text(*value, chart.unit) : std::string("–");
  };
  for (const Bar& bar : chart.bars) {
    std::vector<std::string> row = {bar.label, cell(bar.value)};
    if (intervals) row.insert(row.end(), {cell(bar.low), cell(bar.high)});
    if (wholes) row.push_back(cell(bar.whole));
    table.rows.push_back(row);
  }
  if (chart.reference) {
    std::vector<std::string> row = {chart.reference_name,
                                    cell(chart.reference)};
    row.resize(table.columns.size(), "–");
    table.rows.push_back(row);
  }
  return table;
}

Table line_table(const LineChart& chart) {
  Table table{chart.title, {chart.x_name, chart.y_name}, {}};
  for (const Point& point : thinned(chart.points)) {
    table.rows.push_back({figure_text(point.x, Unit::kNumber),
                          figure_text(point.y, Unit::kNumber)});
  }
  return table;
}

Table heat_table(const HeatMap& map) {
  Table table{map.title, {map.row_name}, {}};
  const auto& names = map.long_columns.empty() ? map.columns : map.long_columns;
  table.columns.insert(table.columns.end(), names.begin(), names.end());
  for (size_t r = 0; r < map.rows.size(); ++r) {
    std::vector<std::string> row = {map.rows[r]};
    for (const auto& value : map.values[r]) {
      row.push_back(value ? figure_text(*value, map.unit) : "–");
    }
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace

std::string figure_text(double value, Unit unit) {
  if (!std::isfinite(value)) return "–";
  if (unit == Unit::kShare) return rounded(100.0 * value, 1) + " %";
  if (unit == Unit::kCount ||
      (value == std::floor(value) && std::abs(value) < 1e15)) {
    return with_separators(std::llround(value));
  }
  const double size = std::abs(value);
  if (size >= 100.0) return rounded(value, 0);
  if (size >= 10.0) return rounded(value, 1);
  if (size >= 1.0) return rounded(value, 2);
  if (size >= 0.1) return rounded(value, 3);
  std::ostringstream out;
  out << std::setprecision(3) << value;
  return out.str();
}

std::string count_text(int64_t count) {
  return figure_text(double(count), Unit::kCount);
}

std::string interval_text(double value, double low, double high, Unit unit) {
  const auto bare = [unit](double bound) {
    return unit == Unit::kShare ? rounded(100.0 * bound, 1)
                                : figure_text(bound, unit);
  };
  return str(figure_text(value, unit), " [", bare(low), ", ", bare(high), "]");
}

const std::string& chart_title(const Chart& chart) {
  return std::visit(
      [](const auto& one) -> const std::string& { return one.title; }, chart);
}

Table chart_table(const Chart& chart) {
  if (const auto* bars = std::get_if<BarChart>(&chart)) return bar_table(*bars);
  if (const auto* line = std::get_if<LineChart>(&chart)) {
    return line_table(*line);
  }
  if (const auto* stacks = std::get_if<StackChart>(&chart)) {
    return stack_table(*stacks);
  }
  return heat_table(std::get<HeatMap>(chart));
}

std::string chart_svg(const Chart& chart, const std::string& id) {
  if (const auto* bars = std::get_if<BarChart>(&chart)) {
    return BarDrawing(*bars, id).draw();
  }
  if (const auto* line = std::get_if<LineChart>(&chart)) {
    return draw_line(*line, id);
  }
  if (const auto* stacks = std::get_if<StackChart>(&chart)) {
    return stack_svg(*stacks, id);
  }
  return draw_heat(std::get<HeatMap>(chart), id);
}

}  // namespace selfalign::report
