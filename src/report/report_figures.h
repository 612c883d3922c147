// SPDX-License-Identifier: Apache-2.0
// All that the report says, as report.json has it (docs/formats.md); page and
// Markdown are made of it (report_sections.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "generate/usage.h"
#include "inspect/stats.h"
#include "inspect/summary.h"
#include "recipe/annotations.h"
#include "report/differences.h"
#include "report/report_run.h"
#include "report/tables.h"

namespace selfalign::report {

struct CostStep {
  std::string step;  // as of inspect::StepEta
  std::string unit;
  int64_t done = 0;  // units
  int64_t num_tokens = 0;
  std::optional<double> seconds;  // of work; none where it was not timed

  static void describe(auto& visit, auto& self) {
    visit("step", self.step);
    visit("unit", self.unit);
    visit("done", self.done);
    visit("tokens", self.num_tokens);
    visit("seconds", self.seconds);
  }
};

struct RunCost {
  int64_t num_tokens = 0;  // written and learned
  std::vector<CostStep> steps;
  std::optional<double> seconds;               // where all work was timed
  std::optional<generate::UsageReport> usage;  // of a model behind a server

  static void describe(auto& visit, auto& self) {
    visit("tokens", self.num_tokens);
    visit("steps", self.steps);
    visit("seconds", self.seconds);
    visit("usage", self.usage);
  }
};

struct RunReport {
  inspect::RunSummary summary;
  std::string note;  // base_model_note
  inspect::RunStats data;
  Named<std::vector<RejectedReason>> rejected_examples;
  std::vector<SampleRow> samples;
  Named<std::vector<CurvePoint>> curves;
  recipe::Annotations annotations;
  bool done = false;
  bool is_baseline = false;  // [tune]: no run of the method
  RunCost cost;
  Provenance provenance;

  static void describe(auto& visit, auto& self) {
    inspect::RunSummary::describe(visit, self.summary);
    visit("note", self.note);
    visit("data", self.data);
    visit("rejected_examples", self.rejected_examples);
    visit("samples", self.samples);
    visit("curves", self.curves);
    visit("annotations", self.annotations);
    visit("done", self.done);
    visit("cost", self.cost);
    visit("provenance", self.provenance);
  }
};

struct Report {
  std::optional<RunReport> run;  // none of an evaluation without one
  std::optional<EvaluationReport> evaluation;
  std::vector<SubjectDifferences> differences;
  std::optional<SubjectDifferences> verbose_tax;  // that one of `differences`

  static void describe(auto& visit, auto& self) {
    visit.inlined(self.run);
    visit("evaluation", self.evaluation);
    visit.may("differences", self.differences, !self.differences.empty());
    visit("verbose_tax", self.verbose_tax);
  }
};

}  // namespace selfalign::report
