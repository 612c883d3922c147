// What evaluations found: figures by model with intervals and chance, items,
// judges' comparisons, and what stage 4 cost and brought.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/markup.h"
#include "eval/report_sections.h"
#include "eval/tasks.h"

namespace selfalign::eval {
namespace {

constexpr size_t kMaxCharts = 12;      // of a task; the table has all
constexpr size_t kMaxSummary = 90;     // of a question in a folded item
constexpr size_t kMaxCategories = 40;  // of a comparison

const Json& list(const Json& json, const char* name) {
  static const Json kNone = Json::array();
  const auto found = json.find(name);
  return found != json.end() && found->is_array() ? *found : kNone;
}

// Of a figure, or a row of the verbose tax.
Unit unit_of(const Json& figure) {
  return figure.value("is_share", true) ? Unit::kShare : Unit::kNumber;
}

std::optional<double> chance_of(const Json& metric) {
  const auto found = metric.find("chance");
  if (found == metric.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::string metric_title(const Json& metric) {
  const std::string title = text_at(metric, "title");
  return title.empty() ? text_at(metric, "name") : title;
}

BarChart metric_chart(const Json& task, const Json& metric) {
  const std::string name = text_at(metric, "name");
  BarChart chart{.title = metric_title(metric),
                 .description = text_at(metric, "note"),
                 .unit = unit_of(metric)};
  if (!metric.value("higher_is_better", true)) {
    chart.description +=
        chart.description.empty() ? "Lower is better" : "; lower is better";
  }
  for (const Json& model : list(task, "models")) {
    const Json& figures = part(model, "figures");
    if (!figures.contains(name)) continue;
    const Json& figure = figures[name];
    Bar bar{.label = text_at(model, "subject"),
            .value = number_at(figure, "value")};
    if (!text_at(figure, "interval").empty()) {
      bar.low = number_at(figure, "low");
      bar.high = number_at(figure, "high");
    }
    chart.bars.push_back(std::move(bar));
  }
  chart.reference = chance_of(metric);
  chart.reference_name = "chance";
  return chart;
}

std::string figure_cell(const Json& figures, const std::string& name,
                        Unit unit) {
  if (!figures.contains(name)) return "–";
  const Json& figure = figures[name];
  const double value = number_at(figure, "value");
  if (text_at(figure, "interval").empty()) return figure_text(value, unit);
  return interval_text(value, number_at(figure, "low"),
                       number_at(figure, "high"), unit);
}

double most_items(const Json& model) {
  double most = 0;
  for (const Json& figure : part(model, "figures")) {
    most = std::max(most, number_at(figure, "num_items"));
  }
  return most;
}

// Models are few and figures many: a row for each figure.
Table model_table(const Json& task) {
  Table table{"Figures by model, with 95 % intervals", {"figure"}, {}};
  std::vector<std::string> items = {"items"}, failures = {"failures"};
  for (const Json& model : list(task, "models")) {
    table.columns.push_back(
        str(text_at(model, "title"), " (", text_at(model, "subject"), ")"));
    items.push_back(figure_text(most_items(model), Unit::kCount));
    failures.push_back(figure_text(number_at(model, "failures"), Unit::kCount));
  }
  bool any_chance = false;
  for (const Json& metric : list(task, "metrics")) {
    const std::string name = text_at(metric, "name");
    const Unit unit = unit_of(metric);
    std::vector<std::string> row = {metric_title(metric)};
    for (const Json& model : list(task, "models")) {
      row.push_back(figure_cell(part(model, "figures"), name, unit));
    }
    const auto chance = chance_of(metric);
    any_chance |= chance.has_value();
    row.push_back(chance ? figure_text(*chance, unit) : "–");
    table.rows.push_back(std::move(row));
  }
  items.emplace_back("");
  failures.emplace_back("");
  table.rows.push_back(std::move(items));
  table.rows.push_back(std::move(failures));
  if (any_chance) {
    table.columns.emplace_back("chance");
  } else {
    for (std::vector<std::string>& row : table.rows) row.pop_back();
  }
  return table;
}

// Whether a result stands in the table of a task under one decoding.
bool is_shown(const Json& task, const Json& result) {
  if (text_at(result, "task") != text_at(task, "task")) return false;
  const std::string decoding = decoding_of(result.value("settings", Json()));
  return decoding.empty() || decoding == text_at(task, "decoding");
}

// Self-tests, data and settings of a task, folded away but for what failed.
std::vector<Block> foundations(const Json& evaluation, const Json& task) {
  Table tests{"Self-tests", {"model", "test", "expected", "found", ""}, {}};
  Table data{"What was asked", {"model", "data", "version", "settings"}, {}};
  int64_t num_failed = 0;
  for (const Json& result : list(evaluation, "results")) {
    if (!is_shown(task, result)) continue;
    const std::string subject = text_at(result, "subject");
    const auto settings = result.find("settings");
    data.rows.push_back({subject, text_at(result, "data"),
                         text_at(result, "version"),
                         settings == result.end() || settings->is_null()
                             ? ""
                             : dump_json(*settings)});
    for (const Json& test : list(result, "self_tests")) {
      const bool passed = test.value("passed", false);
      num_failed += !passed;
      tests.rows.push_back({subject, text_at(test, "name"),
                            text_at(test, "expected"), text_at(test, "found"),
                            passed ? "passed" : "failed"});
    }
  }
  std::vector<Block> blocks;
  if (num_failed > 0) {
    blocks.push_back(note(str("Self-tests that failed: ", num_failed,
                              ". The figures of this task are not to be "
                              "trusted before that is explained.")));
  }
  const std::string title =
      tests.rows.empty()
          ? "Data and settings"
          : str("Data, settings and ", tests.rows.size(), " self-tests");
  blocks.push_back(
      details(title, {table(std::move(data)), table(std::move(tests))}));
  return blocks;
}

std::string scores_text(const Json& scores) {
  std::string text;
  for (const auto& [name, value] : scores.items()) {
    if (!value.is_number()) continue;
    text += str(text.empty() ? "" : ", ", name, " ",
                figure_text(value.get<double>(), Unit::kNumber));
  }
  return text;
}

Block item_details(const Json& item) {
  std::vector<Block> parts = {
      text_block("Question", text_at(item, "question"))};
  Table scores{"", {"model", "scores"}, {}};
  for (const auto& [subject, answer] : part(item, "answers").items()) {
    scores.rows.push_back({subject, scores_text(part(answer, "scores"))});
  }
  parts.push_back(table(std::move(scores)));
  for (const auto& [subject, answer] : part(item, "answers").items()) {
    if (const std::string text = text_at(answer, "answer"); !text.empty()) {
      parts.push_back(text_block(subject, text));
    }
    if (const std::string more = text_at(answer, "more"); !more.empty()) {
      parts.push_back(code(subject + ", logged", more));
    }
  }
  std::string title = text_at(item, "id");
  for (const std::string& more :
       {text_at(item, "group"),
        shorten(text_at(item, "question"), kMaxSummary)}) {
    if (!more.empty()) title += " · " + more;
  }
  return details(title, std::move(parts));
}

Block items_details(const Json& items) {
  std::string files;
  for (const Json& file : list(items, "files")) {
    files += (files.empty() ? "" : ", ") + file.get<std::string>();
  }
  const std::string shown =
      figure_text(number_at(items, "shown"), Unit::kCount);
  const std::string total =
      figure_text(number_at(items, "total"), Unit::kCount);
  std::vector<Block> parts = {paragraph(
      str(shown, " of ", total, " items, evenly drawn; all of them are in ",
          files, " of the evaluation's folder."))};
  for (const Json& item : list(items, "items")) {
    parts.push_back(item_details(item));
  }
  Block block = details(str("Items: ", shown, " of ", total), std::move(parts));
  block.only_html = true;
  return block;
}

// Of a judge's comparison.
std::string decoding_label(const Json& comparison) {
  const Json settings = comparison.value("settings", Json());
  const std::string text = decoding_text(settings);
  if (decoding_of(settings) != kOwnDecoding) return text;
  return "own of each, a part of what differs";
}

// Behind the names in charts.
std::string own_mark(const Json& comparison) {
  const Json settings = comparison.value("settings", Json());
  return decoding_of(settings) == kOwnDecoding ? ", own decoding" : "";
}

BarChart win_chart(const Json& comparisons) {
  BarChart chart{.title = "Win rate of the first model",
                 .description = "A tie or a failure counts as half a win",
                 .reference = 0.5,
                 .reference_name = "even"};
  for (const Json& one : comparisons) {
    if (!one.contains("win_rate")) continue;
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
  if (!one.contains(value)) return "–";
  if (!one.contains(low)) {
    return figure_text(number_at(one, value), Unit::kShare);
  }
  return interval_text(number_at(one, value), number_at(one, low),
                       number_at(one, high), Unit::kShare);
}

std::string plain_cell(const Json& one, const char* name) {
  return one.contains(name) ? figure_text(number_at(one, name), Unit::kNumber)
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

std::string title_of(const std::string& name) {
  constexpr std::string_view kJudge = ".judge.";
  if (const size_t at = name.find(kJudge); at != std::string::npos) {
    return str(title_of(name.substr(0, at)), ", judged by ",
               name.substr(at + kJudge.size()));
  }
  for (const Task& task : tasks()) {
    if (task.name == name) return task.title;
  }
  return name;
}

// Of a task's results under one decoding.
std::string table_title(const Json& task) {
  const std::string name = text_at(task, "task");
  if (text_at(task, "decoding") == kOwnDecoding) {
    return title_of(name) + ", each under its own decoding";
  }
  return title_of(name) + text_at(task, "name").substr(name.size());
}

// Of a row of paired differences.
std::string row_title(const Json& row) {
  const std::string task = text_at(row, "task");
  return (task == "held_out" ? "Held-out instructions" : title_of(task)) +
         (text_at(row, "decoding") == kOwnDecoding ? ", own decoding" : "");
}

std::vector<std::string> row_cells(const Json& row) {
  const Unit unit = unit_of(row);
  return {row_title(row),
          text_at(row, "score"),
          figure_text(number_at(row, "before"), unit),
          figure_text(number_at(row, "after"), unit),
          interval_text(number_at(row, "difference"), number_at(row, "low"),
                        number_at(row, "high"), unit),
          figure_text(number_at(row, "num_items"), Unit::kCount)};
}

// The main figures first; "full_text.harmless" is a part or variant of one.
std::vector<Chart> task_charts(const Json& task) {
  std::vector<Chart> shown;
  for (const bool variants : {false, true}) {
    for (const Json& metric : list(task, "metrics")) {
      const bool is_variant =
          text_at(metric, "name").find('.') != std::string::npos;
      if (is_variant == variants && shown.size() < kMaxCharts) {
        shown.push_back(metric_chart(task, metric));
      }
    }
  }
  return shown;
}

// Shares by task: a chart each.
std::vector<Chart> tax_charts(const Json& rows) {
  std::vector<BarChart> charts;
  for (const Json& row : rows) {
    if (unit_of(row) != Unit::kShare) continue;
    const std::string title = row_title(row);
    if (charts.empty() || charts.back().title != title) {
      charts.push_back(
          {.title = title,
           .description = "Shares after less before, 95 % intervals"});
    }
    charts.back().bars.push_back(
        {text_at(row, "score"), number_at(row, "difference"),
         number_at(row, "low"), number_at(row, "high")});
  }
  return {charts.begin(), charts.end()};
}

}  // namespace

Section evaluation_section(const Json& report) {
  Section section{"evaluation", "Evaluations", {}};
  const Json& evaluation = part(report, "evaluation");
  for (const Json& task : list(evaluation, "tables")) {
    const std::string name = text_at(task, "name");
    section.blocks.push_back(heading(table_title(task)));
    section.blocks.push_back(charts(task_charts(task)));
    section.blocks.push_back(table(model_table(task)));
    for (const Json& line : list(task, "decoding_lines")) {
      section.blocks.push_back(paragraph(line.get<std::string>()));
    }
    for (Block& block : foundations(evaluation, task)) {
      section.blocks.push_back(std::move(block));
    }
    const Json& items = part(part(evaluation, "items"), name.c_str());
    if (!items.empty()) section.blocks.push_back(items_details(items));
  }
  return section;
}

Section comparisons_section(const Json& report) {
  Section section{"comparisons", "Comparisons by judges", {}};
  const Json& comparisons = list(part(report, "evaluation"), "comparisons");
  if (comparisons.empty()) return section;
  BarChart wins = win_chart(comparisons);
  if (!wins.bars.empty()) {
    section.blocks.push_back(
        charts({std::move(wins), outcome_chart(comparisons)}));
  }
  section.blocks.push_back(table(comparison_table(comparisons)));
  for (const Json& one : comparisons) {
    if (!part(one, "by_category").empty()) {
      section.blocks.push_back(category_details(one));
    }
  }
  return section;
}

Section differences_section(const Json& report) {
  Section section{"differences", "Model against model on the same items", {}};
  const Json& tax = part(report, "verbose_tax");
  for (const Json& pair : list(report, "differences")) {
    if (pair == tax) continue;  // it has a section of its own
    const std::string before = text_at(pair, "before");
    const std::string after = text_at(pair, "after");
    Table rows{after + " less " + before,
               {"task", "figure", before, after, "difference", "items"},
               {}};
    for (const Json& row : list(pair, "rows")) {
      // The parts of a figure, as "letters.harmless", are in report.json.
      if (text_at(row, "score").find('.') != std::string::npos) continue;
      rows.rows.push_back(row_cells(row));
    }
    section.blocks.push_back(heading(after + " against " + before));
    section.blocks.push_back(table(std::move(rows)));
  }
  if (section.blocks.empty()) return section;
  section.blocks.insert(
      section.blocks.begin(),
      paragraph(
          "Differences item by item, with 95 % intervals. One that leaves "
          "out 0 is a difference beyond the chance of which items were "
          "asked; of many, one in twenty does so by chance."));
  return section;
}

Section verbose_tax_section(const Json& report) {
  Section section{"verbose-tax", "Verbose tax", {}};
  const Json& tax = part(report, "verbose_tax");
  if (tax.empty()) return section;
  section.blocks.push_back(paragraph(
      "What stage 4 changed on the same items: " + text_at(tax, "after") +
      " less " + text_at(tax, "before") +
      ". An interval that leaves out 0 is a difference beyond the chance of "
      "which items were asked. \"repetition\" is the share of an answer's "
      "3-grams that stood there before, \"repetitive\" the answers that go "
      "round in circles."));
  Table rows{"Before and after stage 4",
             {"task", "figure", "before", "after", "difference", "items"},
             {}};
  for (const Json& row : list(tax, "rows")) {
    rows.rows.push_back(row_cells(row));
  }
  section.blocks.push_back(charts(tax_charts(list(tax, "rows"))));
  section.blocks.push_back(table(std::move(rows)));
  return section;
}

}  // namespace selfalign::eval
