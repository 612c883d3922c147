// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "base/counted.h"
#include "base/error.h"
#include "base/joined.h"
#include "base/progress.h"
#include "generate/usage.h"
#include "report/markup.h"
#include "report/report_sections.h"
#include "stages/funnel.h"
#include "stages/held_out.h"
#include "stages/stage_table.h"
#include "stages/topic_growth.h"

namespace selfalign::report {
namespace {

constexpr size_t kMaxText = 3000;    // characters of one text shown
constexpr size_t kMaxExample = 300;  // of a rejected row in a table
constexpr size_t kMaxTypes = 40;     // rows of a chart or heat map

Block rejected_details(const std::string& stage,
                       const std::vector<RejectedReason>& reasons) {
  Table rows{"", {"row", "reason", "text", "what matched"}, {}};
  int64_t count = 0;
  for (const RejectedReason& reason : reasons) {
    count += reason.count;
    for (const RejectedRow& example : reason.examples) {
      rows.rows.push_back({example.row, reason.reason,
                           shorten(example.text, kMaxExample),
                           shorten(example.detail, kMaxExample)});
    }
  }
  const std::string title =
      str("Rejected in ", stages::stage_title(stage), ": ", rows.rows.size(),
          " of ", count, " shown");
  return details(title, {table(std::move(rows))});
}

void add_answer(const SampleAnswer& answer, std::vector<Block>& parts) {
  if (!answer.thought.empty()) {
    parts.push_back(
        text_block("Internal thought", shorten(answer.thought, kMaxText)));
  }
  Table rules{"", {"principle", "text"}, {}};
  std::string named;
  for (const NamedRule& rule : answer.rules) {
    const std::string name = count_text(rule.number) + " " + rule.name;
    named += (named.empty() ? "" : ", ") + name;
    rules.rows.push_back({name, rule.text});
  }
  if (!named.empty()) {
    parts.push_back(
        details("Names the principles " + named, {table(std::move(rules))}));
  }
  if (!answer.answer.empty()) {
    parts.push_back(text_block("Answer", shorten(answer.answer, kMaxText)));
  }
}

Block sample_card(const SampleRow& sample) {
  std::vector<Block> parts;
  const SampleOrigin origin = sample.origin.value_or(SampleOrigin());
  if (!origin.type.empty()) {
    parts.push_back(
        paragraph("Came from: " + origin.type +
                  (origin.topic.empty() ? "" : "; topic: " + origin.topic)));
  }
  parts.push_back(text_block("Instruction", sample.instruction));
  const SampleAnswer answer = sample.answer.value_or(SampleAnswer());
  add_answer(answer, parts);
  if (!origin.verbose.empty()) {
    parts.push_back(
        details("Long answer of stage 4",
                {text_block("", shorten(origin.verbose, kMaxText))}));
  }
  parts.push_back(details("Raw text as the model wrote it",
                          {text_block(str(count_text(answer.num_tokens),
                                          " tokens, ended by ", answer.finish),
                                      shorten(answer.raw, kMaxText))}));
  std::string title =
      sample.row + ", " + (sample.kept ? "kept" : "rejected: " + sample.reason);
  if (!sample.kept && !sample.detail.empty()) {
    title += " (" + shorten(sample.detail, kMaxExample) + ")";
  }
  return card(title, std::move(parts));
}

std::string title_of(const stages::RuleReport& rule) {
  return str(rule.number, " ", rule.name);
}

BarChart rule_chart(const stages::PrincipleReport& principles,
                    double stages::RuleReport::*share,
                    const std::string& title) {
  BarChart chart{.title = title,
                 .description = "Share of kept answers whose thought names it"};
  for (const stages::RuleReport& rule : principles.rules) {
    chart.bars.push_back({title_of(rule), rule.*share});
  }
  return chart;
}

HeatMap type_rule_map(const stages::PrincipleReport& principles) {
  HeatMap map{.title = "Rules by type of question",
              .description =
                  "Share of a type's kept answers whose thought "
                  "names the rule, in per cent; a column per rule",
              .row_name = "type of question"};
  for (const stages::RuleReport& rule : principles.rules) {
    map.columns.push_back(str(rule.number));
    map.long_columns.push_back(title_of(rule));
  }
  for (const stages::TypeReport& type : principles.types) {
    const int64_t kept = type.rows.kept;
    if (map.rows.size() == kMaxTypes) break;
    map.rows.push_back(str(type.type, " (", count_text(kept), ")"));
    auto& values = map.values.emplace_back();
    for (const int64_t fired : type.fired) {
      values.push_back(kept > 0 ? std::optional(double(fired) / double(kept))
                                : std::nullopt);
    }
  }
  return map;
}

// As exact as a reader of a histogram needs.
std::string rough(double value) {
  return value < 10.0 ? str(std::round(value * 10.0) / 10.0)
                      : figure_text(value, Unit::kCount);
}

BarChart histogram(const inspect::Distribution& values,
                   const std::string& title) {
  BarChart chart{
      .title = title,
      .description = str("Mean ", rough(values.mean), ", median ",
                         rough(values.p50), ", 90 % up to ", rough(values.p90)),
      .unit = Unit::kCount};
  for (const inspect::HistogramBin& bin : values.histogram) {
    chart.bars.push_back(
        {rough(bin.from) + "–" + rough(bin.to), double(bin.count)});
  }
  return chart;
}

BarChart count_chart(const Named<int64_t>& counts, const std::string& title) {
  BarChart chart{.title = title, .description = "", .unit = Unit::kCount};
  for (const auto& [name, count] : counts) {
    if (chart.bars.size() == kMaxTypes) break;
    chart.bars.push_back({name, double(count)});
  }
  return chart;
}

LineChart curve_chart(const std::string& name,
                      const std::vector<CurvePoint>& points,
                      std::optional<double> CurvePoint::*value,
                      const std::string& what) {
  LineChart chart{.title = name + ": " + what,
                  .description = "",
                  .x_name = "step",
                  .y_name = what};
  for (const CurvePoint& point : points) {
    if (!(point.*value)) continue;
    chart.points.push_back({double(point.step), *(point.*value)});
  }
  if (!chart.points.empty()) {
    chart.description =
        str("From ", figure_text(chart.points.front().y, Unit::kNumber), " to ",
            figure_text(chart.points.back().y, Unit::kNumber), " in ",
            counted(int64_t(points.size()), "step"));
  }
  return chart;
}

// What became of the rows of a stage.
std::string fate_text(const stages::Funnel& stage) {
  if (stage.identity) return stages::identity_text(stage);
  if (!stage.given_up.empty()) {
    return "given up: " + stages::counts_text(stage.given_up);
  }
  return stages::counts_text(stage.rejected);
}

}  // namespace

std::vector<Block> run_summary_blocks(const RunReport& report) {
  std::vector<std::vector<std::string>> rows;
  const auto add_stage = [&](const char* name, const char* title) {
    for (const stages::Funnel& stage : report.summary.stages) {
      if (stage.stage == name) {
        rows.push_back({title, count_text(stage.num_kept)});
      }
    }
  };
  rows.push_back(
      {"lines a person wrote", count_text(report.annotations.total)});
  add_stage("instruct.tasks", "instructions kept");
  add_stage("redteam.questions", "red-team questions kept");
  add_stage("align.answers", "answers kept");
  add_stage("verbose.answers", "long answers kept");
  const RunCost& cost = report.cost;
  rows.push_back({"tokens written and learned", count_text(cost.num_tokens)});
  if (cost.seconds) rows.push_back({"time of work", time_text(*cost.seconds)});
  if (cost.usage) {
    rows.push_back({"asked of the server", generate::usage_text(*cost.usage)});
  }
  return {note(report.note), facts(std::move(rows))};
}

Section stages_section(const RunReport& report) {
  Section section{"stages", "Stages and funnels", {}};
  if (report.summary.stages.empty()) return section;
  BarChart chart{.title = "Kept of what was made",
                 .description = "Rows by stage; pale: made",
                 .unit = Unit::kCount,
                 .whole_name = "made"};
  Table rows{"Rows by stage, rejected ones by reason",
             {"stage", "made", "kept", "share kept", "rejected", "name"},
             {}};
  for (const stages::Funnel& stage : report.summary.stages) {
    const std::string title = stages::stage_title(stage.stage);
    const auto made = double(stage.num_made);
    const auto kept = double(stage.num_kept);
    chart.bars.push_back({.label = title, .value = kept, .whole = made});
    rows.rows.push_back(
        {title, count_text(stage.num_made), count_text(stage.num_kept),
         figure_text(made > 0 ? kept / made : 0.0, Unit::kShare),
         fate_text(stage), stage.stage});
  }
  section.blocks = {charts({std::move(chart)}), table(std::move(rows))};
  for (const auto& [stage, reasons] : report.rejected_examples) {
    section.blocks.push_back(rejected_details(stage, reasons));
  }
  return section;
}

Section samples_section(const RunReport& report) {
  Section section{"samples", "From principle to answer", {}};
  if (report.samples.empty()) return section;
  section.blocks.push_back(paragraph(
      "A few rows of stage 2, drawn by chance, then one for each of the "
      "commonest reasons of rejection. selfalign show RUN ROW shows the "
      "whole "
      "way of any row."));
  for (const SampleRow& sample : report.samples) {
    section.blocks.push_back(sample_card(sample));
  }
  return section;
}

Section answers_section(const RunReport& report) {
  Section section{"answers", "Held-out instructions", {}};
  BarChart ended{.title = "Answers that end by themselves", .description = ""};
  BarChart tokens{.title = "Mean length in tokens",
                  .description = "Thoughts count where there are any",
                  .unit = Unit::kNumber};
  for (const auto& [variant, figures] : report.summary.held_out) {
    const std::string& title = stages::find_variant(variant)->title;
    ended.description = str("Of ", count_text(figures.num_answers),
                            " instructions that no stage has seen");
    ended.bars.push_back({title, figures.share_ended});
    tokens.bars.push_back({title, figures.mean_tokens});
  }
  if (!ended.bars.empty()) {
    section.blocks.push_back(charts({std::move(ended), std::move(tokens)}));
  }
  for (const std::string& line : report.summary.decoding) {
    section.blocks.push_back(paragraph(line));
  }
  for (const inspect::ShownAnswers& shown : report.summary.answers) {
    std::vector<Block> parts;
    for (const stages::Variant& variant : stages::variants()) {
      const std::string* answer = find_named(shown.answers, variant.name);
      if (answer == nullptr) continue;
      parts.push_back(text_block(variant.title, shorten(*answer, kMaxText)));
    }
    section.blocks.push_back(details(shown.instruction, std::move(parts)));
  }
  return section;
}

Section principles_section(const RunReport& report) {
  Section section{"principles", "Principles at work", {}};
  if (!report.summary.principles) return section;
  const stages::PrincipleReport& principles = *report.summary.principles;
  section.blocks.push_back(paragraph(
      str("Of ", count_text(principles.num_rows),
          " answers, those whose thought names no rule: ",
          count_text(principles.unnamed.kept + principles.unnamed.rejected),
          ". Which rule a thought names is what the model says, not proof that "
          "the answer follows it.")));
  const std::string never = joined(principles.never);
  if (!never.empty()) {
    section.blocks.push_back(
        paragraph("Named in no kept answer: " + never + "."));
  }
  using stages::RuleReport;
  section.blocks.push_back(charts(
      {rule_chart(principles, &RuleReport::share_of_self_instruct,
                  "Self-Instruct"),
       rule_chart(principles, &RuleReport::share_of_red_team, "Red-teaming")}));
  const HeatMap map = type_rule_map(principles);
  if (!map.rows.empty()) section.blocks.push_back(charts({map}));
  Table forms{"How thoughts name rules", {"form", "mentions"}, {}};
  for (const auto& [form, count] : principles.forms) {
    forms.rows.push_back({form, count_text(count)});
  }
  section.blocks.push_back(
      details("How thoughts name rules", {table(std::move(forms))}));
  return section;
}

Section data_section(const RunReport& report) {
  Section section{"data", "Instructions and answers", {}};
  const inspect::InstructionStats& instructions = report.data.instructions;
  if (instructions.words.count == 0) return section;
  std::vector<Chart> shown = {
      histogram(instructions.words, "Words of an instruction")};
  for (const auto& [stage, figures] : report.data.answers) {
    if (stage.starts_with("held_out.")) continue;
    shown.push_back(histogram(figures.tokens, "Tokens of an answer, " + stage));
  }
  shown.push_back(count_chart(instructions.types, "Kept questions by type"));
  const inspect::RedTeamSummary& red_team = report.summary.red_team;
  if (red_team.questions) {
    Named<int64_t> topics;
    for (const auto& [type, figures] : red_team.questions->types) {
      topics.emplace_back(type, figures.num_topics);
    }
    if (!topics.empty()) {
      shown.push_back(count_chart(topics, "Red-team topics by type"));
    }
  }
  section.blocks.push_back(charts(std::move(shown)));
  if (red_team.topics) {
    const std::string grown = stages::topics_line(*red_team.topics);
    if (!grown.empty()) {
      section.blocks.push_back(paragraph("Red-team " + grown));
    }
  }
  Table verbs{"Root verbs of instructions and their commonest nouns",
              {"verb", "instructions", "nouns"},
              {}};
  for (const inspect::VerbCount& verb : instructions.root_verbs.top) {
    verbs.rows.push_back(
        {verb.verb, count_text(verb.count), stages::counts_text(verb.nouns)});
  }
  section.blocks.push_back(
      details("Root verbs and nouns", {table(std::move(verbs))}));
  return section;
}

Section tuning_section(const RunReport& report) {
  Section section{"tuning", "Tuning", {}};
  std::vector<Chart> shown;
  for (const auto& [name, points] : report.curves) {
    shown.push_back(curve_chart(name, points, &CurvePoint::loss, "loss"));
    shown.push_back(
        curve_chart(name, points, &CurvePoint::learning_rate, "learning rate"));
  }
  const auto& tunings = report.summary.tuning;
  const bool any_elsewhere = std::any_of(
      tunings.begin(), tunings.end(),
      [](const auto& one) { return !one.second.trained_by.empty(); });
  Table rows{"Tunings of the base model",
             {"tuning", "samples", "tokens", "cut off", "steps",
              "loss over the samples before", "after"},
             {}};
  if (any_elsewhere) rows.columns.push_back("trained");
  for (const auto& [name, tuning] : tunings) {
    rows.rows.push_back(
        {name, count_text(tuning.num_samples), count_text(tuning.num_tokens),
         count_text(tuning.num_truncated), count_text(tuning.num_steps),
         figure_text(tuning.loss_before, Unit::kNumber),
         figure_text(tuning.loss_after, Unit::kNumber)});
    if (any_elsewhere) {
      rows.rows.back().push_back(tuning.trained_by.empty() ? "here"
                                                           : tuning.trained_by);
    }
  }
  if (shown.empty() && rows.rows.empty()) return section;
  section.blocks = {charts(std::move(shown)), table(std::move(rows))};
  return section;
}

}  // namespace selfalign::report
