// SPDX-License-Identifier: Apache-2.0
// What evaluations found: figures by model with intervals and chance, items,
// judges' comparisons, and what stage 4 cost and brought.
#include <algorithm>

#include "base/error.h"
#include "base/joined.h"
#include "eval/task_table.h"
#include "eval/tasks.h"
#include "report/markup.h"
#include "report/report_sections.h"

namespace selfalign::report {
namespace {

constexpr size_t kMaxCharts = 12;   // of a task; the table has all
constexpr size_t kMaxSummary = 90;  // of a question in a folded item

// Of a figure, or a row of paired differences.
Unit unit_of(const auto& figure) {
  return figure.is_share ? Unit::kShare : Unit::kNumber;
}

const std::string& metric_title(const TableMetric& metric) {
  return metric.title.empty() ? metric.name : metric.title;
}

BarChart metric_chart(const ModelTable& table, const TableMetric& metric) {
  BarChart chart{.title = metric_title(metric),
                 .description = metric.note,
                 .unit = unit_of(metric)};
  if (!metric.higher_is_better) {
    chart.description +=
        chart.description.empty() ? "Lower is better" : "; lower is better";
  }
  for (const TableModel& model : table.models) {
    const TableFigure* figure = find_named(model.figures, metric.name);
    if (figure == nullptr) continue;
    Bar bar{.label = model.subject, .value = figure->value};
    if (!figure->interval.empty()) {
      bar.low = figure->low;
      bar.high = figure->high;
    }
    chart.bars.push_back(std::move(bar));
  }
  chart.reference = metric.chance;
  chart.reference_name = "chance";
  return chart;
}

std::string figure_cell(const TableFigure* figure, Unit unit) {
  if (figure == nullptr) return "–";
  if (figure->interval.empty()) return figure_text(figure->value, unit);
  return interval_text(figure->value, figure->low, figure->high, unit);
}

int64_t most_items(const TableModel& model) {
  int64_t most = 0;
  for (const auto& [name, figure] : model.figures) {
    most = std::max(most, figure.num_items);
  }
  return most;
}

// Models are few and figures many: a row for each figure.
Table model_table(const ModelTable& source) {
  Table table{"Figures by model, with 95 % intervals", {"figure"}, {}};
  std::vector<std::string> items = {"items"}, failures = {"failures"};
  for (const TableModel& model : source.models) {
    table.columns.push_back(str(model.title, " (", model.subject, ")"));
    items.push_back(count_text(most_items(model)));
    failures.push_back(count_text(model.num_failures));
  }
  bool any_chance = false;
  for (const TableMetric& metric : source.metrics) {
    const Unit unit = unit_of(metric);
    std::vector<std::string> row = {metric_title(metric)};
    for (const TableModel& model : source.models) {
      row.push_back(figure_cell(find_named(model.figures, metric.name), unit));
    }
    any_chance |= metric.chance.has_value();
    row.push_back(metric.chance ? figure_text(*metric.chance, unit) : "–");
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
bool is_shown(const ModelTable& table, const eval::TaskResult& result) {
  const std::string decoding = eval::decoding_of(result.settings);
  return result.task == table.task &&
         (decoding.empty() || decoding == table.decoding);
}

// Self-tests, data and settings of a task, folded away but for what failed.
std::vector<Block> foundations(const eval::Results& results,
                               const ModelTable& shown) {
  Table tests{"Self-tests", {"model", "test", "expected", "found", ""}, {}};
  Table data{"What was asked", {"model", "data", "version", "settings"}, {}};
  int64_t num_failed = 0;
  for (const eval::TaskResult& result : results.results) {
    if (!is_shown(shown, result)) continue;
    data.rows.push_back(
        {result.subject, result.data, result.version,
         result.settings.is_null() ? "" : dump_json(result.settings)});
    for (const eval::SelfTest& test : result.self_tests) {
      num_failed += !test.passed;
      tests.rows.push_back({result.subject, test.name, test.expected,
                            test.found, test.passed ? "passed" : "failed"});
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

Block item_details(const ShownItem& item) {
  std::vector<Block> parts = {text_block("Question", item.question)};
  Table scores{"", {"model", "scores"}, {}};
  for (const auto& [subject, answer] : item.answers) {
    scores.rows.push_back({subject, scores_text(answer.scores)});
  }
  parts.push_back(table(std::move(scores)));
  for (const auto& [subject, answer] : item.answers) {
    if (!answer.answer.empty()) {
      parts.push_back(text_block(subject, answer.answer));
    }
    if (!answer.more.empty()) {
      parts.push_back(code(subject + ", logged", answer.more));
    }
  }
  std::string title = item.id;
  for (const std::string& more :
       {item.group, shorten(item.question, kMaxSummary)}) {
    if (!more.empty()) title += " · " + more;
  }
  return details(title, std::move(parts));
}

Block items_details(const ShownItems& items) {
  const std::string files = joined(items.files);
  const std::string shown = count_text(items.num_shown);
  const std::string total = count_text(items.num_items);
  std::vector<Block> parts = {paragraph(
      str(shown, " of ", total, " items, evenly drawn; all of them are in ",
          files, " of the evaluation's folder."))};
  for (const ShownItem& item : items.items) parts.push_back(item_details(item));
  Block block = details(str("Items: ", shown, " of ", total), std::move(parts));
  block.only_html = true;
  return block;
}

Table usage_table(const std::vector<eval::SubjectUsage>& all) {
  Table rows{"What was asked of models behind a server, and its cost",
             {"asked", "requests", "tokens in", "tokens out", "cost"},
             {}};
  for (const eval::SubjectUsage& one : all) {
    const generate::Usage& usage = one.report.usage;
    const std::optional<generate::Cost>& cost = one.report.cost;
    rows.rows.push_back(
        {one.kind + " " + one.name, count_text(usage.num_requests),
         count_text(usage.num_prompt_tokens), count_text(usage.num_tokens),
         cost ? figure_text(cost->cost, Unit::kNumber) : "–"});
  }
  return rows;
}

std::string title_of(const std::string& name) {
  if (name == "adherence") return "Adherence: rules that fired, and were kept";
  constexpr std::string_view kJudge = ".judge.";
  if (const size_t at = name.find(kJudge); at != std::string::npos) {
    return str(title_of(name.substr(0, at)), ", judged by ",
               name.substr(at + kJudge.size()));
  }
  for (const eval::Task& task : eval::tasks()) {
    if (task.name == name) return task.title;
  }
  return name;
}

// Of a task's results under one decoding.
std::string table_title(const ModelTable& table) {
  if (table.decoding == eval::kOwnDecoding) {
    return title_of(table.task) + ", each under its own decoding";
  }
  return title_of(table.task) + table.name.substr(table.task.size());
}

std::string row_title(const ScoreDifference& row) {
  return (row.task == "held_out" ? "Held-out instructions"
                                 : title_of(row.task)) +
         (row.decoding == eval::kOwnDecoding ? ", own decoding" : "");
}

std::vector<std::string> row_cells(const ScoreDifference& row) {
  const Unit unit = unit_of(row);
  return {row_title(row),
          row.score,
          figure_text(row.before, unit),
          figure_text(row.after, unit),
          interval_text(row.change.difference, row.change.low, row.change.high,
                        unit),
          count_text(row.change.n)};
}

// The main figures first; "full_text.harmless" is a part or variant of one.
std::vector<Chart> task_charts(const ModelTable& table) {
  std::vector<Chart> shown;
  for (const bool variants : {false, true}) {
    for (const TableMetric& metric : table.metrics) {
      const bool is_variant = metric.name.find('.') != std::string::npos;
      if (is_variant == variants && shown.size() < kMaxCharts) {
        shown.push_back(metric_chart(table, metric));
      }
    }
  }
  return shown;
}

// Shares by task: a chart each.
std::vector<Chart> tax_charts(const std::vector<ScoreDifference>& rows) {
  std::vector<BarChart> charts;
  for (const ScoreDifference& row : rows) {
    if (!row.is_share) continue;
    const std::string title = row_title(row);
    if (charts.empty() || charts.back().title != title) {
      charts.push_back(
          {.title = title,
           .description = "Shares after less before, 95 % intervals"});
    }
    charts.back().bars.push_back(
        {row.score, row.change.difference, row.change.low, row.change.high});
  }
  return {charts.begin(), charts.end()};
}

}  // namespace

std::vector<Block> figures_blocks(const eval::Results& results) {
  std::vector<Block> blocks;
  for (const ModelTable& shown : tables_by_model(results)) {
    blocks.push_back(heading(shown.name));
    blocks.push_back(table(model_table(shown)));
    for (const std::string& line : shown.decoding_lines) {
      blocks.push_back(paragraph(line));
    }
  }
  return blocks;
}

Section evaluation_section(const EvaluationReport& evaluation) {
  Section section{"evaluation", "Evaluations", {}};
  for (const ModelTable& shown : evaluation.tables) {
    section.blocks.push_back(heading(table_title(shown)));
    section.blocks.push_back(charts(task_charts(shown)));
    section.blocks.push_back(table(model_table(shown)));
    for (const std::string& line : shown.decoding_lines) {
      section.blocks.push_back(paragraph(line));
    }
    for (Block& block : foundations(evaluation.results, shown)) {
      section.blocks.push_back(std::move(block));
    }
    if (const auto* items = find_named(evaluation.items, shown.name)) {
      section.blocks.push_back(items_details(*items));
    }
  }
  if (!evaluation.results.usage.empty()) {
    section.blocks.push_back(table(usage_table(evaluation.results.usage)));
  }
  return section;
}

Section differences_section(const std::vector<SubjectDifferences>& all) {
  Section section{"differences", "Model against model on the same items", {}};
  for (const SubjectDifferences& pair : all) {
    if (is_verbose_tax(pair)) continue;  // it has a section of its own
    Table rows{
        pair.after + " less " + pair.before,
        {"task", "figure", pair.before, pair.after, "difference", "items"},
        {}};
    for (const ScoreDifference& row : pair.rows) {
      // The parts of a figure, as "letters.harmless", are in report.json.
      if (row.score.find('.') != std::string::npos) continue;
      rows.rows.push_back(row_cells(row));
    }
    section.blocks.push_back(heading(pair.after + " against " + pair.before));
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

Section verbose_tax_section(const SubjectDifferences& tax) {
  Section section{"verbose-tax", "Verbose tax", {}};
  section.blocks.push_back(paragraph(
      "What stage 4 changed on the same items: " + tax.after + " less " +
      tax.before +
      ". An interval that leaves out 0 is a difference beyond the chance of "
      "which items were asked. \"repetition\" is the share of an answer's "
      "3-grams that stood there before, \"repetitive\" the answers that go "
      "round in circles."));
  Table rows{"Before and after stage 4",
             {"task", "figure", "before", "after", "difference", "items"},
             {}};
  for (const ScoreDifference& row : tax.rows) {
    rows.rows.push_back(row_cells(row));
  }
  section.blocks.push_back(charts(tax_charts(tax.rows)));
  section.blocks.push_back(table(std::move(rows)));
  return section;
}

}  // namespace selfalign::report
