// SPDX-License-Identifier: Apache-2.0
// What default and the published profile make of the same rows of a run: how
// many they would keep, and the rows on which they differ by the reasons of
// both, with examples. Every finished stage whose rows are judged takes part,
// but not the held-out evaluation.
#pragma once

#include <string>

#include "base/json.h"
#include "store/reader.h"

namespace selfalign::inspect {

// {"profile": the run's own, "num_rows", "num_differ", "stages": [{"stage",
//  "default": filter, "paper": filter, "num_rows", "kept_by_both",
//  "rejected_by_both", "num_differ", "differences": [{"default", "paper",
//  "count", "examples": [{"row", "text", "default_detail",
//  "paper_detail"}]}]}]}
// In a run of profile paper2 its filters are those of "paper".
// A difference's "default" and "paper" are the reasons of rejection, "kept", or
// "changed": kept by both, but with another text or end than the run's own
// profile has. Most first; up to `num_examples` of each, in order of seq.
Json profiles_report(const store::Reader& store, int num_examples);

// The report as plain text, a table for each stage.
std::string profiles_text(const Json& report);

}  // namespace selfalign::inspect
