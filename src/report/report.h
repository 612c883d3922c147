// SPDX-License-Identifier: Apache-2.0
// The report of a run: one HTML page that opens offline, and the same as JSON
// and Markdown. All of it is read from what the run and its evaluations left in
// the folder, so it can be written again at any time.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "report/report_document.h"
#include "store/store.h"

namespace selfalign::report {

// All the report says (docs/formats.md): for a run what inspect/summary.h says
// and "note", "data", "rejected_examples", "samples", "curves", "annotations",
// "cost", "provenance"; where there are evaluations, in the run's folder
// evaluation/ or for an evaluation's own folder, "evaluation";
// "differences" and of these "verbose_tax". Error kInput for a folder that is
// neither.
Json report_json(const std::string& folder);

Document report_document(const Json& report);

// Writes report.html, report.json and report.md into the folder of a run, also
// one under way, or of an evaluation; for the evaluation of a run (its folder
// evaluation/) into the run's. The path of the page. `out`: the page's place,
// "" for that; the others then stand beside it under the same name. A run that
// is not done gets no report.json in its own folder. What stands in the folder
// of a run that is done is kept as evidence in its store: `store`, where the
// caller has that open for writing, else it is opened for that, with `key` if
// not null. Errors as of Store, before anything is written.
std::string write_report(
    const std::string& folder, const std::string& out = "",
    store::Store* store = nullptr,
    const std::shared_ptr<const store::SigningKey>& key = nullptr);

// The same after an evaluation, for which no report is reason enough to fail:
// where the run is signed or somebody writes it there is a warning instead.
void update_report(const std::string& folder);

// Whether a run's folder has the report that its store says.
bool has_report(const store::Reader& store);

}  // namespace selfalign::report
