// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "base/counted.h"
#include "base/error.h"
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

std::string count_at(const Json& json, const char* name) {
  return figure_text(number_at(json, name), Unit::kCount);
}

std::string reasons_text(const Json& rejected) {
  std::string text;
  for (const auto& [reason, count] : rejected.items()) {
    text += str(text.empty() ? "" : ", ", count.get<int64_t>(), " ", reason);
  }
  return text;
}

Block rejected_details(const std::string& stage, const Json& reasons) {
  Table rows{"", {"row", "reason", "text", "what matched"}, {}};
  int64_t count = 0;
  for (const Json& reason : reasons) {
    count += int64_t(number_at(reason, "count"));
    for (const Json& example : reason.value("examples", Json::array())) {
      rows.rows.push_back({text_at(example, "row"), text_at(reason, "reason"),
                           shorten(text_at(example, "text"), kMaxExample),
                           shorten(text_at(example, "detail"), kMaxExample)});
    }
  }
  const std::string title =
      str("Rejected in ", stages::stage_title(stage), ": ", rows.rows.size(),
          " of ", count, " shown");
  return details(title, {table(std::move(rows))});
}

Block sample_card(const Json& sample) {
  const bool kept = sample.value("kept", false);
  std::vector<Block> parts;
  const std::string type = text_at(sample, "type");
  if (!type.empty()) {
    const std::string topic = text_at(sample, "topic");
    parts.push_back(paragraph("Came from: " + type +
                              (topic.empty() ? "" : "; topic: " + topic)));
  }
  parts.push_back(text_block("Instruction", text_at(sample, "instruction")));
  if (const std::string thought = text_at(sample, "thought");
      !thought.empty()) {
    parts.push_back(text_block("Internal thought", shorten(thought, kMaxText)));
  }
  Table rules{"", {"principle", "text"}, {}};
  std::string named;
  for (const Json& rule : sample.value("rules", Json::array())) {
    const std::string name =
        count_at(rule, "number") + " " + text_at(rule, "name");
    named += (named.empty() ? "" : ", ") + name;
    rules.rows.push_back({name, text_at(rule, "text")});
  }
  if (!named.empty()) {
    parts.push_back(
        details("Names the principles " + named, {table(std::move(rules))}));
  }
  if (const std::string answer = text_at(sample, "answer"); !answer.empty()) {
    parts.push_back(text_block("Answer", shorten(answer, kMaxText)));
  }
  if (const std::string longer = text_at(sample, "verbose"); !longer.empty()) {
    parts.push_back(details("Long answer of stage 4",
                            {text_block("", shorten(longer, kMaxText))}));
  }
  parts.push_back(
      details("Raw text as the model wrote it",
              {text_block(str(count_at(sample, "tokens"), " tokens, ended by ",
                              text_at(sample, "finish")),
                          shorten(text_at(sample, "raw"), kMaxText))}));
  std::string title =
      text_at(sample, "row") + ", " +
      (kept ? "kept" : "rejected: " + text_at(sample, "reason"));
  if (const std::string detail = text_at(sample, "detail");
      !kept && !detail.empty()) {
    title += " (" + shorten(detail, kMaxExample) + ")";
  }
  return card(title, std::move(parts));
}

BarChart rule_chart(const Json& principles, const char* member,
                    const std::string& title) {
  BarChart chart{.title = title,
                 .description = "Share of kept answers whose thought names it"};
  for (const Json& rule : principles["rules"]) {
    chart.bars.push_back(
        {str(number_at(rule, "number"), " ", text_at(rule, "name")),
         number_at(rule, member)});
  }
  return chart;
}

HeatMap type_rule_map(const Json& principles) {
  HeatMap map{.title = "Rules by type of question",
              .description =
                  "Share of a type's kept answers whose thought "
                  "names the rule, in per cent; a column per rule",
              .row_name = "type of question"};
  for (const Json& rule : principles["rules"]) {
    map.columns.push_back(str(number_at(rule, "number")));
    map.long_columns.push_back(
        str(number_at(rule, "number"), " ", text_at(rule, "name")));
  }
  for (const Json& type : principles["types"]) {
    const double kept = number_at(type, "kept");
    if (map.rows.size() == kMaxTypes) break;
    map.rows.push_back(
        str(text_at(type, "type"), " (", count_at(type, "kept"), ")"));
    auto& values = map.values.emplace_back();
    for (const Json& fired : type["fired"]) {
      values.push_back(kept > 0 ? std::optional(fired.get<double>() / kept)
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

BarChart histogram(const Json& distribution, const std::string& title) {
  BarChart chart{.title = title,
                 .description = str(
                     "Mean ", rough(number_at(distribution, "mean")),
                     ", median ", rough(number_at(distribution, "p50")),
                     ", 90 % up to ", rough(number_at(distribution, "p90"))),
                 .unit = Unit::kCount};
  for (const Json& bin : distribution.value("histogram", Json::array())) {
    chart.bars.push_back(
        {rough(number_at(bin, "from")) + "–" + rough(number_at(bin, "to")),
         number_at(bin, "count")});
  }
  return chart;
}

BarChart count_chart(const Json& counts, const std::string& title) {
  BarChart chart{.title = title, .description = "", .unit = Unit::kCount};
  for (const auto& [name, count] : counts.items()) {
    if (chart.bars.size() == kMaxTypes) break;
    chart.bars.push_back({name, count.get<double>()});
  }
  return chart;
}

LineChart curve_chart(const std::string& name, const Json& points,
                      const char* member, const std::string& what) {
  LineChart chart{.title = name + ": " + what,
                  .description = "",
                  .x_name = "step",
                  .y_name = what};
  for (const Json& point : points) {
    if (!point.contains(member)) continue;
    chart.points.push_back(
        {number_at(point, "step"), number_at(point, member)});
  }
  if (!chart.points.empty()) {
    chart.description =
        str("From ", figure_text(chart.points.front().y, Unit::kNumber), " to ",
            figure_text(chart.points.back().y, Unit::kNumber), " in ",
            counted(int64_t(points.size()), "step"));
  }
  return chart;
}

// Of a tuning's samples: those that say who the assistant is.
std::string identity_of(const Json& stage) {
  stages::Funnel funnel;
  funnel.num_made = stage.value("made", int64_t{0});
  funnel.num_identity = stage.value("identity", int64_t{0});
  funnel.num_identity_left_out = stage.value("identity_left_out", int64_t{0});
  return stages::identity_text(funnel);
}

}  // namespace

std::vector<Block> run_summary_blocks(const Json& report) {
  std::vector<std::vector<std::string>> rows;
  const auto kept_of = [&report](const std::string& stage) {
    for (const Json& one : report["stages"]) {
      if (one["stage"] == stage) return number_at(one, "kept");
    }
    return -1.0;
  };
  const auto add_stage = [&](const char* stage, const char* title) {
    const double kept = kept_of(stage);
    if (kept >= 0) rows.push_back({title, figure_text(kept, Unit::kCount)});
  };
  const Json& annotations = part(report, "annotations");
  rows.push_back({"lines a person wrote", count_at(annotations, "total")});
  add_stage("instruct.tasks", "instructions kept");
  add_stage("redteam.questions", "red-team questions kept");
  add_stage("align.answers", "answers kept");
  add_stage("verbose.answers", "long answers kept");
  const Json& cost = part(report, "cost");
  rows.push_back({"tokens written and learned",
                  figure_text(number_at(cost, "tokens"), Unit::kCount)});
  if (cost.contains("seconds")) {
    rows.push_back({"time of work", time_text(number_at(cost, "seconds"))});
  }
  if (cost.contains("usage")) {
    rows.push_back(
        {"asked of the server", generate::usage_text(cost["usage"])});
  }
  return {note(text_at(report, "note")), facts(std::move(rows))};
}

Section stages_section(const Json& report) {
  Section section{"stages", "Stages and funnels", {}};
  if (!report.contains("stages") || report["stages"].empty()) return section;
  BarChart chart{.title = "Kept of what was made",
                 .description = "Rows by stage; pale: made",
                 .unit = Unit::kCount,
                 .whole_name = "made"};
  Table rows{"Rows by stage, rejected ones by reason",
             {"stage", "made", "kept", "share kept", "rejected", "name"},
             {}};
  for (const Json& stage : report["stages"]) {
    const std::string name = text_at(stage, "stage");
    const double made = number_at(stage, "made");
    const double kept = number_at(stage, "kept");
    chart.bars.push_back(
        {.label = stages::stage_title(name), .value = kept, .whole = made});
    rows.rows.push_back(
        {stages::stage_title(name), count_at(stage, "made"),
         count_at(stage, "kept"),
         figure_text(made > 0 ? kept / made : 0.0, Unit::kShare),
         stage.contains("identity") ? identity_of(stage)
         : stage.contains("given_up")
             ? "given up: " + reasons_text(part(stage, "given_up"))
             : reasons_text(part(stage, "rejected")),
         name});
  }
  section.blocks = {charts({std::move(chart)}), table(std::move(rows))};
  for (const auto& [stage, reasons] :
       part(report, "rejected_examples").items()) {
    section.blocks.push_back(rejected_details(stage, reasons));
  }
  return section;
}

Section samples_section(const Json& report) {
  Section section{"samples", "From principle to answer", {}};
  const auto samples = report.find("samples");
  if (samples == report.end() || samples->empty()) return section;
  section.blocks.push_back(paragraph(
      "A few rows of stage 2, drawn by chance, then one for each of the "
      "commonest reasons of rejection. selfalign show RUN ROW shows the "
      "whole "
      "way of any row."));
  for (const Json& sample : *samples) {
    section.blocks.push_back(sample_card(sample));
  }
  return section;
}

Section answers_section(const Json& report) {
  Section section{"answers", "Held-out instructions", {}};
  const Json& held_out = part(report, "held_out");
  BarChart ended{.title = "Answers that end by themselves", .description = ""};
  BarChart tokens{.title = "Mean length in tokens",
                  .description = "Thoughts count where there are any",
                  .unit = Unit::kNumber};
  for (const stages::Variant& variant : stages::variants()) {
    if (!held_out.contains(variant.name)) continue;
    const Json& figures = held_out[variant.name];
    ended.description = str("Of ", count_at(figures, "num_answers"),
                            " instructions that no stage has seen");
    ended.bars.push_back({variant.title, number_at(figures, "share_ended")});
    tokens.bars.push_back({variant.title, number_at(figures, "mean_tokens")});
  }
  if (!ended.bars.empty()) {
    section.blocks.push_back(charts({std::move(ended), std::move(tokens)}));
  }
  for (const Json& line : report.value("decoding", Json::array())) {
    section.blocks.push_back(paragraph(line.get<std::string>()));
  }
  for (const Json& entry : report.value("answers", Json::array())) {
    std::vector<Block> parts;
    for (const stages::Variant& variant : stages::variants()) {
      const std::string answer = text_at(entry, variant.name.c_str());
      if (!entry.contains(variant.name)) continue;
      parts.push_back(text_block(variant.title, shorten(answer, kMaxText)));
    }
    section.blocks.push_back(
        details(text_at(entry, "instruction"), std::move(parts)));
  }
  return section;
}

Section principles_section(const Json& report) {
  Section section{"principles", "Principles at work", {}};
  if (!report.contains("principles")) return section;
  const Json& principles = report["principles"];
  const Json& unnamed = part(principles, "unnamed");
  section.blocks.push_back(paragraph(str(
      "Of ", count_at(principles, "rows"),
      " answers, those whose thought names no rule: ",
      figure_text(number_at(unnamed, "kept") + number_at(unnamed, "rejected"),
                  Unit::kCount),
      ". Which rule a thought names is what the model says, not proof that "
      "the answer follows it.")));
  std::string never;
  for (const Json& name : principles.value("never", Json::array())) {
    never += (never.empty() ? "" : ", ") + name.get<std::string>();
  }
  if (!never.empty()) {
    section.blocks.push_back(
        paragraph("Named in no kept answer: " + never + "."));
  }
  section.blocks.push_back(
      charts({rule_chart(principles, "share_of_self_instruct", "Self-Instruct"),
              rule_chart(principles, "share_of_red_team", "Red-teaming")}));
  const HeatMap map = type_rule_map(principles);
  if (!map.rows.empty()) section.blocks.push_back(charts({map}));
  Table forms{"How thoughts name rules", {"form", "mentions"}, {}};
  for (const auto& [form, count] : part(principles, "forms").items()) {
    forms.rows.push_back(
        {form, figure_text(count.get<double>(), Unit::kCount)});
  }
  section.blocks.push_back(
      details("How thoughts name rules", {table(std::move(forms))}));
  return section;
}

Section data_section(const Json& report) {
  Section section{"data", "Instructions and answers", {}};
  const Json& instructions = part(part(report, "data"), "instructions");
  if (number_at(part(instructions, "words"), "count") == 0) return section;
  std::vector<Chart> shown = {
      histogram(part(instructions, "words"), "Words of an instruction")};
  for (const auto& [stage, figures] :
       part(part(report, "data"), "answers").items()) {
    if (stage.starts_with("held_out.")) continue;
    shown.push_back(
        histogram(part(figures, "tokens"), "Tokens of an answer, " + stage));
  }
  const Json& types = part(instructions, "types");
  shown.push_back(count_chart(types, "Kept questions by type"));
  Json topics = Json::object();
  for (const auto& [type, figures] :
       part(part(report, "red_team"), "types").items()) {
    topics[type] = figures.value("topics", 0);
  }
  if (!topics.empty()) {
    shown.push_back(count_chart(topics, "Red-team topics by type"));
  }
  section.blocks.push_back(charts(std::move(shown)));
  const std::string grown =
      stages::topics_line(part(part(report, "red_team"), "topics"));
  if (!grown.empty()) section.blocks.push_back(paragraph("Red-team " + grown));
  Table verbs{"Root verbs of instructions and their commonest nouns",
              {"verb", "instructions", "nouns"},
              {}};
  for (const Json& verb :
       part(instructions, "root_verbs").value("top", Json::array())) {
    verbs.rows.push_back({text_at(verb, "verb"), count_at(verb, "count"),
                          reasons_text(part(verb, "nouns"))});
  }
  section.blocks.push_back(
      details("Root verbs and nouns", {table(std::move(verbs))}));
  return section;
}

Section tuning_section(const Json& report) {
  Section section{"tuning", "Tuning", {}};
  std::vector<Chart> shown;
  for (const auto& [name, points] : part(report, "curves").items()) {
    shown.push_back(curve_chart(name, points, "loss", "loss"));
    shown.push_back(
        curve_chart(name, points, "learning_rate", "learning rate"));
  }
  Table rows{"Tunings of the base model by LoRA",
             {"tuning", "samples", "tokens", "cut off", "steps",
              "loss over the samples before", "after"},
             {}};
  for (const auto& [name, tuning] : part(report, "tuning").items()) {
    rows.rows.push_back(
        {name, count_at(tuning, "num_samples"), count_at(tuning, "num_tokens"),
         count_at(tuning, "num_truncated"), count_at(tuning, "num_steps"),
         figure_text(number_at(tuning, "loss_before"), Unit::kNumber),
         figure_text(number_at(tuning, "loss_after"), Unit::kNumber)});
  }
  if (shown.empty() && rows.rows.empty()) return section;
  section.blocks = {charts(std::move(shown)), table(std::move(rows))};
  return section;
}

}  // namespace selfalign::report
