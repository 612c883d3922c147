// SPDX-License-Identifier: Apache-2.0
// The report of a run: one HTML page that opens offline, and the same as JSON
// and Markdown. All of it is read from what the run and its evaluations left in
// the folder, so it can be written again at any time.
#pragma once

#include <memory>
#include <string>

#include "report/report_document.h"
#include "report/report_figures.h"
#include "store/store.h"

namespace selfalign::report {

// Of a run with the evaluations in its folder evaluation/, or of an
// evaluation's own folder. Error kInput for a folder that is neither.
Report make_report(const std::string& folder);

Document report_document(const Report& report);

// Markdown of the figures that the evaluations in a run's folder found, for a
// model's card; "" where there are none.
std::string evaluations_markdown(const std::string& run);

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
