// SPDX-License-Identifier: Apache-2.0
// What a stage made and what became of it: counted by reason, printed, and
// committed with the stage's digest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "store/store.h"

namespace selfalign::stages {

// Of a tuning's samples: those that say who the assistant is, and how many
// identity_share kept out, which are no rows.
struct IdentityFigures {
  int64_t num_used = 0;
  int64_t num_left_out = 0;

  static void describe(auto& visit, auto& self) {
    visit("identity", self.num_used);
    visit("identity_left_out", self.num_left_out);
  }
};

struct Funnel {
  std::string stage;
  // Whose verdicts its rows have, none where all are kept; no part of the
  // record.
  std::optional<std::string> filter = {};
  int64_t num_made = 0;
  int64_t num_kept = 0;
  Named<int64_t> rejected = {};  // most first
  // Requests that a server did not answer, by finish reason, where they have no
  // verdict that says so.
  Named<int64_t> given_up = {};
  std::optional<IdentityFigures> identity = {};  // of a tuning's samples

  static void describe(auto& visit, auto& self) {
    visit("stage", self.stage);
    visit("made", self.num_made);
    visit("kept", self.num_kept);
    visit("rejected", self.rejected);
    visit.inlined(self.identity);
    visit.may("given_up", self.given_up, !self.given_up.empty());
  }
};

// "2 no_answer, 1 repetition"
std::string counts_text(const Named<int64_t>& counts);
// "instruct.tasks: 93 made, 60 kept (64.5 %); rejected: 20 duplicate, ..."
// "engrave.samples: 74 made, 74 kept (100.0 %); 18 identity (24.3 %), 73 left
// out"
std::string funnel_line(const Funnel& funnel);
// "18 identity (24.3 %), 73 left out"; "" where there is neither.
std::string identity_text(const Funnel& funnel);
// Reads the funnel of a committed stage out of its manifest's report.
Funnel funnel_of(const store::Manifest& manifest);

// Commits the manifest of rows 0..num_rows-1 of `stage` as `filter` judged
// them ("": the stage has no verdicts and keeps all), with the funnel and
// `figures` as its report, and prints the funnel. Nothing if it is done.
void finish_stage(store::Store& store, const std::string& stage,
                  const std::string& filter, int64_t num_rows,
                  const Json& figures = Json::object());

// The rows that a finished stage's own filter kept, in order; none of a stage
// that is not done.
std::vector<store::Row> kept_rows(const store::Reader& store,
                                  const std::string& stage);

// Whether the pipeline came to its end. A run that was made before its store
// said so (version 3) has report.json then.
bool run_done(const store::Reader& store);

bool stage_done(const store::Reader& store, const std::string& stage);

}  // namespace selfalign::stages
