// SPDX-License-Identifier: Apache-2.0
// The sections of the report, each made from its part of the figures; one that
// has nothing to show has no blocks and is left out.
#pragma once

#include <vector>

#include "report/report_document.h"
#include "report/report_figures.h"

namespace selfalign::report {

// Of a run.
std::vector<Block> run_summary_blocks(const RunReport& report);
Section stages_section(const RunReport& report);
Section samples_section(const RunReport& report);
Section answers_section(const RunReport& report);
Section principles_section(const RunReport& report);
Section data_section(const RunReport& report);
Section tuning_section(const RunReport& report);
Section supervision_section(const RunReport& report);
Section provenance_section(const Provenance& provenance);

// Of evaluations.
// The tables alone: figures by model with intervals, each with its decoding.
std::vector<Block> figures_blocks(const eval::Results& results);
Section evaluation_section(const EvaluationReport& evaluation);
Section comparisons_section(const std::vector<eval::Comparison>& comparisons);
Section differences_section(const std::vector<SubjectDifferences>& all);
Section verbose_tax_section(const SubjectDifferences& tax);

}  // namespace selfalign::report
