// SPDX-License-Identifier: Apache-2.0
// Two models on the same questions: who won, and the paper's Figures 5, 7
// and 8.
#include "base/error.h"
#include "eval/evaluation.h"
#include "report/markup.h"
#include "report/report_sections.h"

namespace selfalign::report {
namespace {

constexpr size_t kMaxCategories = 40;  // of a comparison

// Of a judge's comparison.
std::string decoding_label(const Json& comparison) {
  const Json settings = comparison.value("settings", Json());
  const std::string text = eval::decoding_text(settings);
  if (eval::decoding_of(settings) != eval::kOwnDecoding) return text;
  return "own of each, a part of what differs";
}

// Behind the names in charts.
std::string own_mark(const Json& comparison) {
  const Json settings = comparison.value("settings", Json());
  return eval::decoding_of(settings) == eval::kOwnDecoding ? ", own decoding"
                                                           : "";
}

// False where no verdict could be read, or none was asked for. Older versions
// called the rate of such a comparison a half.
bool has_verdicts(const Json& counts) {
  const double num_items = number_at(counts, "num_items");
  return counts.value("win_rate", Json()).is_number() &&
         (num_items == 0 || num_items > number_at(counts, "failures"));
}

BarChart win_chart(const Json& comparisons) {
  BarChart chart{.title = "Win rate of the first model",
                 .description = "A tie or a failure counts as half a win",
                 .reference = 0.5,
                 .reference_name = "even"};
  for (const Json& one : comparisons) {
    if (!has_verdicts(one)) continue;
    Bar bar{.label = str(text_at(one, "a"), " against ", text_at(one, "b"),
                         ", by ", text_at(one, "judge"), ", ",
                         text_at(one, "task"), own_mark(one)),
            .value = number_at(one, "win_rate")};
    if (one.contains("low") && one.contains("high")) {
      bar.low = number_at(one, "low");
      bar.high = number_at(one, "high");
    }
    chart.bars.push_back(std::move(bar));
  }
  return chart;
}

// The paper's Figure 5: what became of every question.
StackChart outcome_chart(const Json& comparisons) {
  StackChart chart{.title = "Outcomes by question",
                   .description = "Of two orders that agree; else a tie",
                   .parts = {"won by the first", "tie", "without a verdict",
                             "won by the second"}};
  for (const Json& one : comparisons) {
    if (!one.contains("wins_a")) continue;  // marks alone
    chart.stacks.push_back(
        {str(text_at(one, "a"), " against ", text_at(one, "b"), ", ",
             text_at(one, "task"), ", by ", text_at(one, "judge"),
             own_mark(one)),
         {number_at(one, "wins_a"), number_at(one, "ties"),
          number_at(one, "failures"), number_at(one, "wins_b")}});
  }
  return chart;
}

// A figure of a comparison as its name suggests: shares with an interval.
std::string comparison_cell(const Json& one, const char* value, const char* low,
                            const char* high) {
  if (!has_verdicts(one)) {
    return number_at(one, "failures") > 0 ? "no verdict" : "–";
  }
  if (!one.value(value, Json()).is_number()) return "–";
  if (!one.contains(low)) {
    return figure_text(number_at(one, value), Unit::kShare);
  }
  return interval_text(number_at(one, value), number_at(one, low),
                       number_at(one, high), Unit::kShare);
}

std::string plain_cell(const Json& one, const char* name) {
  return one.value(name, Json()).is_number()
             ? figure_text(number_at(one, name), Unit::kNumber)
             : "–";
}

Table comparison_table(const Json& comparisons) {
  Table rows{"Two models on the same questions",
             {"a against b", "task", "decoding", "judge", "won by a",
              "won by b", "ties", "flips", "failures", "win rate of a",
              "at equal length", "length slope", "agreement of orders"},
             {}};
  for (const Json& one : comparisons) {
    rows.rows.push_back({text_at(one, "a") + " against " + text_at(one, "b"),
                         text_at(one, "task"), decoding_label(one),
                         text_at(one, "judge"), plain_cell(one, "wins_a"),
                         plain_cell(one, "wins_b"), plain_cell(one, "ties"),
                         plain_cell(one, "flips"), plain_cell(one, "failures"),
                         comparison_cell(one, "win_rate", "low", "high"),
                         comparison_cell(one, "win_rate_length_controlled",
                                         "lc_low", "lc_high"),
                         plain_cell(one, "length_slope"),
                         comparison_cell(one, "order_agreement", "", "")});
  }
  return rows;
}

Block category_details(const Json& one) {
  Table rows{
      "",
      {"category", "items", "won by a", "won by b", "ties", "win rate of a"},
      {}};
  for (const auto& [category, counts] : part(one, "by_category").items()) {
    if (rows.rows.size() == kMaxCategories) break;
    rows.rows.push_back({category, plain_cell(counts, "num_items"),
                         plain_cell(counts, "wins_a"),
                         plain_cell(counts, "wins_b"),
                         plain_cell(counts, "ties"),
                         comparison_cell(counts, "win_rate", "", "")});
  }
  return details(str("By category: ", text_at(one, "a"), " against ",
                     text_at(one, "b"), ", ", text_at(one, "task"), ", ",
                     text_at(one, "judge"), own_mark(one)),
                 {table(std::move(rows))});
}

// Sum of marks by the other's sum (the paper's Figure 5, relative to ChatGPT).
BarChart relative_chart(const Json& comparisons) {
  BarChart chart{.title = "Score relative to another model",
                 .description =
                     "Sum of its marks by the sum of the other's, "
                     "over answers that both have marks for",
                 .reference = 1.0,
                 .reference_name = "the other"};
  for (const Json& one : comparisons) {
    const Json& score = part(one, "relative_score");
    if (score.empty()) continue;
    chart.bars.push_back(
        {str(text_at(one, "a"), " relative to ", text_at(one, "b"), ", ",
             text_at(one, "task"), ", by ", text_at(one, "judge")),
         number_at(score, "value"), number_at(score, "low"),
         number_at(score, "high")});
  }
  return chart;
}

std::string pair_title(const Json& one) {
  return str(text_at(one, "a"), " against ", text_at(one, "b"), ", ",
             text_at(one, "task"), ", ", text_at(one, "judge"));
}

// The paper's Figures 7 and 8: outcomes and relative score by category.
std::vector<Chart> category_charts(const Json& one) {
  StackChart outcomes{.title = "Outcomes by category: " + pair_title(one),
                      .description = "Of two orders that agree; else a tie",
                      .parts = {"won by the first", "tie", "without a verdict",
                                "won by the second"}};
  for (const auto& [category, counts] : part(one, "by_category").items()) {
    if (category.empty() || outcomes.stacks.size() == kMaxCategories) continue;
    outcomes.stacks.push_back(
        {category,
         {number_at(counts, "wins_a"), number_at(counts, "ties"),
          number_at(counts, "failures"), number_at(counts, "wins_b")}});
  }
  BarChart scores{.title = "Relative score by category: " + pair_title(one),
                  .description = "Sum of the first's marks by the second's",
                  .reference = 1.0,
                  .reference_name = "the second"};
  const Json& relative = part(one, "relative_score");
  for (const auto& [category, sums] : part(relative, "by_category").items()) {
    if (scores.bars.size() == kMaxCategories) break;
    scores.bars.push_back({category, number_at(sums, "value")});
  }
  std::vector<Chart> shown;
  if (!outcomes.stacks.empty()) shown.emplace_back(std::move(outcomes));
  if (!scores.bars.empty()) shown.emplace_back(std::move(scores));
  return shown;
}

}  // namespace

Section comparisons_section(const Json& report) {
  Section section{"comparisons", "Comparisons by judges", {}};
  const Json& comparisons = list_at(part(report, "evaluation"), "comparisons");
  if (comparisons.empty()) return section;
  BarChart wins = win_chart(comparisons);
  StackChart outcomes = outcome_chart(comparisons);
  std::vector<Chart> shown;
  if (!wins.bars.empty()) shown.emplace_back(std::move(wins));
  if (!outcomes.stacks.empty()) shown.emplace_back(std::move(outcomes));
  if (!shown.empty()) section.blocks.push_back(charts(std::move(shown)));
  if (BarChart scores = relative_chart(comparisons); !scores.bars.empty()) {
    section.blocks.push_back(charts({std::move(scores)}));
  }
  section.blocks.push_back(table(comparison_table(comparisons)));
  for (const Json& one : comparisons) {
    if (std::vector<Chart> all = category_charts(one); !all.empty()) {
      section.blocks.push_back(charts(std::move(all)));
    }
    if (!part(one, "by_category").empty()) {
      section.blocks.push_back(category_details(one));
    }
  }
  return section;
}

}  // namespace selfalign::report
