// SPDX-License-Identifier: Apache-2.0
// Two models on the same questions: who won, and the paper's Figures 5, 7
// and 8.
#include "base/error.h"
#include "eval/evaluation.h"
#include "report/report_sections.h"

namespace selfalign::report {
namespace {

constexpr size_t kMaxCategories = 40;  // of a comparison

using eval::Comparison;
using eval::PairCounts;

bool is_own(const Comparison& one) {
  return eval::decoding_of(one.settings) == eval::kOwnDecoding;
}

std::string decoding_label(const Comparison& one) {
  return is_own(one) ? "own of each, a part of what differs"
                     : eval::decoding_text(one.settings);
}

// Behind the names in charts.
std::string own_mark(const Comparison& one) {
  return is_own(one) ? ", own decoding" : "";
}

std::string pair_title(const Comparison& one) {
  return str(one.a, " against ", one.b, ", ", one.task, ", ", one.judge);
}

BarChart win_chart(const std::vector<Comparison>& comparisons) {
  BarChart chart{.title = "Win rate of the first model",
                 .description = "A tie or a failure counts as half a win",
                 .reference = 0.5,
                 .reference_name = "even"};
  for (const Comparison& one : comparisons) {
    if (!one.pairs || !one.pairs->counts.has_verdicts()) continue;
    chart.bars.push_back({str(one.a, " against ", one.b, ", by ", one.judge,
                              ", ", one.task, own_mark(one)),
                          *one.pairs->counts.win_rate, one.pairs->low,
                          one.pairs->high});
  }
  return chart;
}

std::vector<double> outcomes_of(const PairCounts& counts) {
  return {double(counts.wins_a), double(counts.ties), double(counts.failures),
          double(counts.wins_b)};
}

StackChart outcome_chart(const std::string& title) {
  return {.title = title,
          .description = "Of two orders that agree; else a tie",
          .parts = {"won by the first", "tie", "without a verdict",
                    "won by the second"}};
}

// The paper's Figure 5: what became of every question.
StackChart question_chart(const std::vector<Comparison>& comparisons) {
  StackChart chart = outcome_chart("Outcomes by question");
  for (const Comparison& one : comparisons) {
    if (!one.pairs) continue;  // marks alone
    chart.stacks.push_back({str(one.a, " against ", one.b, ", ", one.task,
                                ", by ", one.judge, own_mark(one)),
                            outcomes_of(one.pairs->counts)});
  }
  return chart;
}

std::string number_cell(const std::optional<double>& value) {
  return value ? figure_text(*value, Unit::kNumber) : "–";
}

std::string number_cell(int64_t value) {
  return figure_text(double(value), Unit::kNumber);
}

// A share with its interval, where there is one.
std::string share_cell(const PairCounts& counts,
                       const std::optional<double>& share,
                       const std::optional<double>& low = {},
                       const std::optional<double>& high = {}) {
  if (!counts.has_verdicts()) return counts.failures > 0 ? "no verdict" : "–";
  if (!share) return "–";
  return low && high ? interval_text(*share, *low, *high, Unit::kShare)
                     : figure_text(*share, Unit::kShare);
}

Table comparison_table(const std::vector<Comparison>& comparisons) {
  Table rows{"Two models on the same questions",
             {"a against b", "task", "decoding", "judge", "won by a",
              "won by b", "ties", "flips", "failures", "win rate of a",
              "at equal length", "length slope", "agreement of orders"},
             {}};
  for (const Comparison& one : comparisons) {
    std::vector<std::string> row = {one.a + " against " + one.b, one.task,
                                    decoding_label(one), one.judge};
    if (one.pairs) {
      const eval::PairFigures& pairs = *one.pairs;
      const PairCounts& counts = pairs.counts;
      for (const int64_t count : {counts.wins_a, counts.wins_b, counts.ties,
                                  counts.flips, counts.failures}) {
        row.push_back(number_cell(count));
      }
      row.push_back(share_cell(counts, counts.win_rate, pairs.low, pairs.high));
      row.push_back(share_cell(counts, pairs.win_rate_length_controlled,
                               pairs.lc_low, pairs.lc_high));
      row.push_back(number_cell(pairs.length_slope));
      row.push_back(share_cell(
          counts, pairs.orders ? pairs.orders->agreement : std::nullopt));
    }
    row.resize(rows.columns.size(), "–");
    rows.rows.push_back(std::move(row));
  }
  return rows;
}

Block category_details(const Comparison& one) {
  Table rows{
      "",
      {"category", "items", "won by a", "won by b", "ties", "win rate of a"},
      {}};
  for (const auto& [category, counts] : one.pairs->by_category) {
    if (rows.rows.size() == kMaxCategories) break;
    rows.rows.push_back({category, number_cell(counts.num_items),
                         number_cell(counts.wins_a), number_cell(counts.wins_b),
                         number_cell(counts.ties),
                         share_cell(counts, counts.win_rate)});
  }
  return details("By category: " + pair_title(one) + own_mark(one),
                 {table(std::move(rows))});
}

// Sum of marks by the other's sum (the paper's Figure 5, relative to ChatGPT).
BarChart relative_chart(const std::vector<Comparison>& comparisons) {
  BarChart chart{.title = "Score relative to another model",
                 .description =
                     "Sum of its marks by the sum of the other's, "
                     "over answers that both have marks for",
                 .reference = 1.0,
                 .reference_name = "the other"};
  for (const Comparison& one : comparisons) {
    if (!one.relative_score) continue;
    const eval::RelativeScore& score = *one.relative_score;
    chart.bars.push_back(
        {str(one.a, " relative to ", one.b, ", ", one.task, ", by ", one.judge),
         score.sums.ratio, score.low, score.high});
  }
  return chart;
}

// The paper's Figures 7 and 8: outcomes and relative score by category.
std::vector<Chart> category_charts(const Comparison& one) {
  std::vector<Chart> shown;
  if (one.pairs) {
    StackChart outcomes =
        outcome_chart("Outcomes by category: " + pair_title(one));
    for (const auto& [category, counts] : one.pairs->by_category) {
      if (category.empty() || outcomes.stacks.size() == kMaxCategories) {
        continue;
      }
      outcomes.stacks.push_back({category, outcomes_of(counts)});
    }
    if (!outcomes.stacks.empty()) shown.emplace_back(std::move(outcomes));
  }
  if (one.relative_score) {
    BarChart scores{.title = "Relative score by category: " + pair_title(one),
                    .description = "Sum of the first's marks by the second's",
                    .reference = 1.0,
                    .reference_name = "the second"};
    for (const auto& [category, sums] : one.relative_score->by_category) {
      if (scores.bars.size() == kMaxCategories) break;
      scores.bars.push_back({category, sums.ratio});
    }
    if (!scores.bars.empty()) shown.emplace_back(std::move(scores));
  }
  return shown;
}

}  // namespace

Section comparisons_section(const std::vector<Comparison>& comparisons) {
  Section section{"comparisons", "Comparisons by judges", {}};
  if (comparisons.empty()) return section;
  BarChart wins = win_chart(comparisons);
  StackChart outcomes = question_chart(comparisons);
  std::vector<Chart> shown;
  if (!wins.bars.empty()) shown.emplace_back(std::move(wins));
  if (!outcomes.stacks.empty()) shown.emplace_back(std::move(outcomes));
  if (!shown.empty()) section.blocks.push_back(charts(std::move(shown)));
  if (BarChart scores = relative_chart(comparisons); !scores.bars.empty()) {
    section.blocks.push_back(charts({std::move(scores)}));
  }
  section.blocks.push_back(table(comparison_table(comparisons)));
  for (const Comparison& one : comparisons) {
    if (std::vector<Chart> all = category_charts(one); !all.empty()) {
      section.blocks.push_back(charts(std::move(all)));
    }
    if (one.pairs && !one.pairs->by_category.empty()) {
      section.blocks.push_back(category_details(one));
    }
  }
  return section;
}

}  // namespace selfalign::report
