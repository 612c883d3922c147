// SPDX-License-Identifier: Apache-2.0
// What persons decided in review, as the pipeline honours it. A decision
// changes no row: the stages that come after ask for it here. What is made
// already stays as it was made: a decision counts for a stage that has no row
// yet, so that a run that was stopped goes on with the same rows.
//
//   dropped instruction        stages 2 and 4 do not answer it
//   dropped, edited pair       left out of the samples, or with the new text
//   kept or edited answer that the filter had rejected: a pair after all
#pragma once

#include <string>
#include <vector>

#include "store/store.h"

namespace selfalign::stages {

// `rows` without those dropped before `consumer` had its first row. Keeps the
// answer in the store with it.
std::vector<store::Row> without_dropped(std::vector<store::Row> rows,
                                        const std::string& consumer,
                                        store::Store& store);

// A pair as the samples take it.
struct ReviewedPair {
  // Of `pairs`, or the request whose rejected answer a person kept.
  store::Row row;
  std::string instruction;
  std::string response;
  bool ends = true;
  bool reviewed = false;  // a person wrote or kept what the filter did not
};
// Rows of the stage `pairs` ("align.pairs", with what refills added) in order,
// then the kept ones of
// its answers ("align.answers").
std::vector<ReviewedPair> reviewed_pairs(const store::Reader& store,
                                         const std::string& pairs);

// Keeps which decisions there are on `pairs` and its answers, as those that the
// samples are made by.
void seal_decisions(store::Store& store, const std::string& pairs);
// `to`, in which the run `from` is played again, from now on goes by the
// decisions that `from` was made by, whatever was decided later.
void replay_decisions(const store::Reader& from, store::Store& to);

// "align.answers" of "align.pairs".
std::string answers_of(const std::string& pairs);

// Whether rows of `stage` can be decided on, and the first stage after it that
// has rows already, for which a decision comes too late ("" if none).
bool can_be_decided(const std::string& stage);
std::string made_already(const store::Reader& store, const std::string& stage);

}  // namespace selfalign::stages
