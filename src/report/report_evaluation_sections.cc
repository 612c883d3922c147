// SPDX-License-Identifier: Apache-2.0
// What evaluations found: figures by model with intervals and chance, items,
// judges' comparisons, and what stage 4 cost and brought.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/task_table.h"
#include "eval/tasks.h"
#include "report/markup.h"
#include "report/report_sections.h"

namespace selfalign::report {
namespace {

constexpr size_t kMaxCharts = 12;   // of a task; the table has all
constexpr size_t kMaxSummary = 90;  // of a question in a folded item

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
  for (const Json& model : list_at(task, "models")) {
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
  for (const Json& model : list_at(task, "models")) {
    table.columns.push_back(
        str(text_at(model, "title"), " (", text_at(model, "subject"), ")"));
    items.push_back(figure_text(most_items(model), Unit::kCount));
    failures.push_back(figure_text(number_at(model, "failures"), Unit::kCount));
  }
  bool any_chance = false;
  for (const Json& metric : list_at(task, "metrics")) {
    const std::string name = text_at(metric, "name");
    const Unit unit = unit_of(metric);
    std::vector<std::string> row = {metric_title(metric)};
    for (const Json& model : list_at(task, "models")) {
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
  const std::string decoding =
      eval::decoding_of(result.value("settings", Json()));
  return decoding.empty() || decoding == text_at(task, "decoding");
}

// Self-tests, data and settings of a task, folded away but for what failed.
std::vector<Block> foundations(const Json& evaluation, const Json& task) {
  Table tests{"Self-tests", {"model", "test", "expected", "found", ""}, {}};
  Table data{"What was asked", {"model", "data", "version", "settings"}, {}};
  int64_t num_failed = 0;
  for (const Json& result : list_at(evaluation, "results")) {
    if (!is_shown(task, result)) continue;
    const std::string subject = text_at(result, "subject");
    const auto settings = result.find("settings");
    data.rows.push_back({subject, text_at(result, "data"),
                         text_at(result, "version"),
                         settings == result.end() || settings->is_null()
                             ? ""
                             : dump_json(*settings)});
    for (const Json& test : list_at(result, "self_tests")) {
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
  for (const Json& file : list_at(items, "files")) {
    files += (files.empty() ? "" : ", ") + file.get<std::string>();
  }
  const std::string shown =
      figure_text(number_at(items, "shown"), Unit::kCount);
  const std::string total =
      figure_text(number_at(items, "total"), Unit::kCount);
  std::vector<Block> parts = {paragraph(
      str(shown, " of ", total, " items, evenly drawn; all of them are in ",
          files, " of the evaluation's folder."))};
  for (const Json& item : list_at(items, "items")) {
    parts.push_back(item_details(item));
  }
  Block block = details(str("Items: ", shown, " of ", total), std::move(parts));
  block.only_html = true;
  return block;
}

Table usage_table(const Json& usage) {
  Table rows{"What was asked of models behind a server, and its cost",
             {"asked", "requests", "tokens in", "tokens out", "cost"},
             {}};
  for (const Json& one : usage) {
    const auto count = [&](const char* name) {
      return figure_text(number_at(one, name), Unit::kCount);
    };
    rows.rows.push_back(
        {text_at(one, "kind") + " " + text_at(one, "name"), count("requests"),
         count("prompt_tokens"), count("completion_tokens"),
         one.contains("cost")
             ? figure_text(number_at(one, "cost"), Unit::kNumber)
             : "–"});
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
std::string table_title(const Json& task) {
  const std::string name = text_at(task, "task");
  if (text_at(task, "decoding") == eval::kOwnDecoding) {
    return title_of(name) + ", each under its own decoding";
  }
  return title_of(name) + text_at(task, "name").substr(name.size());
}

// Of a row of paired differences.
std::string row_title(const Json& row) {
  const std::string task = text_at(row, "task");
  return (task == "held_out" ? "Held-out instructions" : title_of(task)) +
         (text_at(row, "decoding") == eval::kOwnDecoding ? ", own decoding"
                                                         : "");
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
    for (const Json& metric : list_at(task, "metrics")) {
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
  for (const Json& task : list_at(evaluation, "tables")) {
    const std::string name = text_at(task, "name");
    section.blocks.push_back(heading(table_title(task)));
    section.blocks.push_back(charts(task_charts(task)));
    section.blocks.push_back(table(model_table(task)));
    for (const Json& line : list_at(task, "decoding_lines")) {
      section.blocks.push_back(paragraph(line.get<std::string>()));
    }
    for (Block& block : foundations(evaluation, task)) {
      section.blocks.push_back(std::move(block));
    }
    const Json& items = part(part(evaluation, "items"), name.c_str());
    if (!items.empty()) section.blocks.push_back(items_details(items));
  }
  if (const Json& usage = list_at(evaluation, "usage"); !usage.empty()) {
    section.blocks.push_back(table(usage_table(usage)));
  }
  return section;
}

Section differences_section(const Json& report) {
  Section section{"differences", "Model against model on the same items", {}};
  const Json& tax = part(report, "verbose_tax");
  for (const Json& pair : list_at(report, "differences")) {
    if (pair == tax) continue;  // it has a section of its own
    const std::string before = text_at(pair, "before");
    const std::string after = text_at(pair, "after");
    Table rows{after + " less " + before,
               {"task", "figure", before, after, "difference", "items"},
               {}};
    for (const Json& row : list_at(pair, "rows")) {
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
  for (const Json& row : list_at(tax, "rows")) {
    rows.rows.push_back(row_cells(row));
  }
  section.blocks.push_back(charts(tax_charts(list_at(tax, "rows"))));
  section.blocks.push_back(table(std::move(rows)));
  return section;
}

}  // namespace selfalign::report
