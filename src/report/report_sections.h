// SPDX-License-Identifier: Apache-2.0
// The sections of the report, each made from its members of report.json; one
// whose members are missing has no blocks and is left out.
#pragma once

#include <vector>

#include "base/json.h"
#include "report/report_document.h"

namespace selfalign::report {

// Of a run.
std::vector<Block> run_summary_blocks(const Json& report);
Section stages_section(const Json& report);
Section samples_section(const Json& report);
Section answers_section(const Json& report);
Section principles_section(const Json& report);
Section data_section(const Json& report);
Section tuning_section(const Json& report);
Section supervision_section(const Json& report);
Section provenance_section(const Json& report);

// Of evaluations.
Section evaluation_section(const Json& report);
Section comparisons_section(const Json& report);
Section differences_section(const Json& report);
Section verbose_tax_section(const Json& report);

// Member `name`; an empty object where there is none.
const Json& part(const Json& json, const char* name);
// The same of a list.
const Json& list_at(const Json& json, const char* name);
// What stands at `name`, as text or number; "" and 0 where there is none.
std::string text_at(const Json& json, const char* name);
double number_at(const Json& json, const char* name);

}  // namespace selfalign::report
