// SPDX-License-Identifier: Apache-2.0
// What default and the published profile make of the same rows of a run: how
// many they would keep, and the rows on which they differ by the reasons of
// both, with examples. Every finished stage whose rows are judged takes part,
// but not the held-out evaluation.
//
// A run is judged by its own profile alone. What the other one says depends on
// what it has kept before, so the run is played again (replayed_run.h) with
// both judging; its own verdicts must come out the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/record.h"
#include "store/reader.h"

namespace selfalign::replay {

struct ProfileExample {
  std::string row;  // "align.answers:3"
  std::string text;
  std::string default_detail;
  std::string paper_detail;

  static void describe(auto& visit, auto& self) {
    visit("row", self.row);
    visit("text", self.text);
    visit("default_detail", self.default_detail);
    visit("paper_detail", self.paper_detail);
  }
};

// What both said of some rows: the reason of rejection, "kept", or "changed":
// kept by both, but with another text or end than the run's own profile has.
struct ProfileDifference {
  std::string of_default;
  std::string of_paper;
  int64_t count = 0;
  std::vector<ProfileExample> examples;  // in order of seq

  static void describe(auto& visit, auto& self) {
    visit("default", self.of_default);
    visit("paper", self.of_paper);
    visit("count", self.count);
    visit("examples", self.examples);
  }
};

struct ProfiledStage {
  std::string stage;
  std::string default_filter;
  std::string paper_filter;  // in a run of profile paper2 its own
  int64_t num_rows = 0;
  int64_t kept_by_both = 0;
  int64_t rejected_by_both = 0;
  int64_t num_differ = 0;
  std::vector<ProfileDifference> differences;  // most first

  static void describe(auto& visit, auto& self) {
    visit("stage", self.stage);
    visit("default", self.default_filter);
    visit("paper", self.paper_filter);
    visit("num_rows", self.num_rows);
    visit("kept_by_both", self.kept_by_both);
    visit("rejected_by_both", self.rejected_by_both);
    visit("num_differ", self.num_differ);
    visit("differences", self.differences);
  }
};

struct ProfilesReport {
  std::string profile;  // the run's own
  int64_t num_rows = 0;
  int64_t num_differ = 0;
  std::vector<ProfiledStage> stages;

  static void describe(auto& visit, auto& self) {
    visit("profile", self.profile);
    visit("num_rows", self.num_rows);
    visit("num_differ", self.num_differ);
    visit("stages", self.stages);
  }
};
// Up to `num_examples` of each difference. Of `run` the stages that are done
// now. Error kInput where it cannot be played again up to these: files that a
// person gave are gone, or another version of a filter judged it.
ProfilesReport profiles_report(const store::Reader& run, int num_examples);

// The report as plain text, a table for each stage.
std::string profiles_text(const ProfilesReport& report);

}  // namespace selfalign::replay
