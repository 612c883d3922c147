// SPDX-License-Identifier: Apache-2.0
// Where the run came from: what a person wrote, what the machine did, what it
// takes to make the run again.
#include <algorithm>

#include "base/progress.h"
#include "report/report_sections.h"

namespace selfalign::report {
namespace {

Table model_table(const Provenance& provenance) {
  Table models{"Models", {"model", "fingerprint"}, {}};
  const bool any_probe =
      std::any_of(provenance.models.begin(), provenance.models.end(),
                  [](const ModelName& model) { return !model.probe.empty(); });
  if (any_probe) models.columns.emplace_back("log-probability of a text");
  for (const ModelName& model : provenance.models) {
    models.rows.push_back({model.name, model.fingerprint});
    if (any_probe) models.rows.back().push_back(model.probe);
  }
  return models;
}

Table adapter_table(const Provenance& provenance) {
  Table adapters{"Adapters", {"adapter", "file", "XXH3-128"}, {}};
  for (const AdapterDigests& adapter : provenance.adapters) {
    adapters.rows.push_back(
        {adapter.name, "settings and samples", adapter.inputs.value_or("")});
    for (const auto& [file, digest] : adapter.files) {
      adapters.rows.push_back({adapter.name, file, digest});
    }
  }
  return adapters;
}

Table file_table(const Provenance& provenance) {
  Table files{"Recipe and prompts", {"file", "bytes", "SHA-256"}, {}};
  for (const exports::HashedFile& file : provenance.files) {
    files.rows.push_back({file.name, count_text(file.bytes.value_or(0)),
                          file.sha256.value_or("")});
  }
  return files;
}

Table stage_table(const Provenance& provenance) {
  Table stages{"Stages", {"stage", "rows", "kept", "digest"}, {}};
  for (const exports::StageDigest& stage : provenance.stages) {
    stages.rows.push_back({stage.stage, count_text(stage.num_rows),
                           count_text(stage.num_kept), stage.digest});
  }
  return stages;
}

std::string rate_of(const CostStep& step) {
  const double seconds = step.seconds.value_or(0.0);
  return seconds > 0.0 ? rate_text(double(step.num_tokens) / seconds) : "";
}

}  // namespace

Section supervision_section(const RunReport& report) {
  Section section{"supervision", "Supervision and cost", {}};
  Table lines{"What a person wrote, counted as the paper's Table 1 does",
              {"what", "items", "in Table 1"},
              {}};
  for (const recipe::AnnotationCount& count : report.annotations.counts) {
    lines.rows.push_back(
        {count.what, count_text(count.count), count.in_table ? "yes" : "no"});
  }
  lines.rows.push_back({"total", count_text(report.annotations.total), "yes"});
  Table cost{"What the machine did",
             {"step", "done", "unit", "tokens", "time", "tokens/s"},
             {}};
  for (const CostStep& step : report.cost.steps) {
    cost.rows.push_back({step.step, count_text(step.done), step.unit,
                         count_text(step.num_tokens),
                         step.seconds ? time_text(*step.seconds) : "",
                         rate_of(step)});
  }
  section.blocks = {table(std::move(lines)), table(std::move(cost))};
  section.blocks.push_back(
      paragraph("Time is of work: while requests to the model were under way, "
                "or steps of a tuning, over all sessions. What lies between "
                "them, loading and what was taken over from another run is not "
                "in it; where it was not measured there is none."));
  return section;
}

Section provenance_section(const Provenance& provenance) {
  Section section{"provenance", "Provenance", {}};
  section.blocks.push_back(
      table({"",
             {"what", "value"},
             {{"program", provenance.program},
              {"run digest", provenance.digest},
              {"digest of the prompts", provenance.prompts_digest}}}));
  section.blocks.push_back(table(model_table(provenance)));
  std::string commands;
  for (const std::string& line : provenance.commands) commands += line + "\n";
  section.blocks.push_back(
      code("To check it and to make it again, from the folder of the run's "
           "folder",
           commands));
  section.blocks.push_back(
      details("Digests of all stages", {table(stage_table(provenance))}));
  section.blocks.push_back(details(
      "Hashes of adapters, recipe and prompts",
      {table(adapter_table(provenance)), table(file_table(provenance))}));
  section.blocks.push_back(details(
      "The whole recipe", {code("recipe.resolved.yaml", provenance.recipe)}));
  return section;
}

}  // namespace selfalign::report
