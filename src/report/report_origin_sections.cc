// SPDX-License-Identifier: Apache-2.0
// Where the run came from: what a person wrote, what the machine did, what it
// takes to make the run again.
#include "base/progress.h"
#include "report/report_sections.h"

namespace selfalign::report {
namespace {

std::string count_at(const Json& json, const char* name) {
  return figure_text(number_at(json, name), Unit::kCount);
}

Table model_table(const Json& provenance) {
  Table models{"Models", {"model", "fingerprint"}, {}};
  for (const Json& model : provenance.value("models", Json::array())) {
    models.rows.push_back(
        {text_at(model, "name"), text_at(model, "fingerprint")});
  }
  return models;
}

Table adapter_table(const Json& provenance) {
  Table adapters{"Adapters", {"adapter", "file", "XXH3-128"}, {}};
  for (const Json& adapter : provenance.value("adapters", Json::array())) {
    const std::string name = text_at(adapter, "name");
    adapters.rows.push_back(
        {name, "settings and samples", text_at(adapter, "inputs")});
    for (const auto& [file, digest] : part(adapter, "files").items()) {
      adapters.rows.push_back({name, file, digest.get<std::string>()});
    }
  }
  return adapters;
}

Table file_table(const Json& provenance) {
  Table files{"Recipe and prompts", {"file", "bytes", "SHA-256"}, {}};
  for (const Json& file : provenance.value("files", Json::array())) {
    files.rows.push_back({text_at(file, "name"), count_at(file, "bytes"),
                          text_at(file, "sha256")});
  }
  return files;
}

Table stage_table(const Json& provenance) {
  Table stages{"Stages", {"stage", "rows", "kept", "digest"}, {}};
  for (const Json& stage : provenance.value("stages", Json::array())) {
    stages.rows.push_back({text_at(stage, "stage"), count_at(stage, "rows"),
                           count_at(stage, "kept"), text_at(stage, "digest")});
  }
  return stages;
}

// "" where the work was not timed.
std::string time_of(const Json& step) {
  return step.contains("seconds") ? time_text(number_at(step, "seconds")) : "";
}

std::string rate_of(const Json& step) {
  const double seconds = step.value("seconds", 0.0);
  return seconds > 0.0 ? rate_text(number_at(step, "tokens") / seconds) : "";
}

}  // namespace

Section supervision_section(const Json& report) {
  Section section{"supervision", "Supervision and cost", {}};
  const Json& annotations = part(report, "annotations");
  if (!annotations.contains("counts")) return section;
  Table lines{"What a person wrote, counted as the paper's Table 1 does",
              {"what", "items", "in Table 1"},
              {}};
  for (const Json& count : annotations["counts"]) {
    lines.rows.push_back({text_at(count, "what"), count_at(count, "count"),
                          count.value("in_table", true) ? "yes" : "no"});
  }
  lines.rows.push_back({"total", count_at(annotations, "total"), "yes"});
  Table cost{"What the machine did",
             {"step", "done", "unit", "tokens", "time", "tokens/s"},
             {}};
  for (const Json& step : part(report, "cost").value("steps", Json::array())) {
    cost.rows.push_back({text_at(step, "step"), count_at(step, "done"),
                         text_at(step, "unit"), count_at(step, "tokens"),
                         time_of(step), rate_of(step)});
  }
  section.blocks = {table(std::move(lines)), table(std::move(cost))};
  section.blocks.push_back(
      paragraph("Time is of work: while requests to the model were under way, "
                "or steps of a tuning, over all sessions. What lies between "
                "them, loading and what was taken over from another run is not "
                "in it; where it was not measured there is none."));
  return section;
}

Section provenance_section(const Json& report) {
  Section section{"provenance", "Provenance", {}};
  const Json& provenance = part(report, "provenance");
  if (provenance.empty()) return section;
  section.blocks.push_back(table(
      {"",
       {"what", "value"},
       {{"program", text_at(provenance, "program")},
        {"run digest", text_at(provenance, "digest")},
        {"digest of the prompts", text_at(provenance, "prompts_digest")}}}));
  section.blocks.push_back(table(model_table(provenance)));
  std::string commands;
  for (const Json& line : provenance.value("commands", Json::array())) {
    commands += line.get<std::string>() + "\n";
  }
  section.blocks.push_back(
      code("To check it and to make it again, from the folder of the run's "
           "folder",
           commands));
  section.blocks.push_back(
      details("Digests of all stages", {table(stage_table(provenance))}));
  section.blocks.push_back(details(
      "Hashes of adapters, recipe and prompts",
      {table(adapter_table(provenance)), table(file_table(provenance))}));
  section.blocks.push_back(
      details("The whole recipe",
              {code("recipe.resolved.yaml", text_at(provenance, "recipe"))}));
  return section;
}

}  // namespace selfalign::report
