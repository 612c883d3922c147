// SPDX-License-Identifier: Apache-2.0
// Two subjects on the same items, with intervals of the paired differences:
// whether the engraved model is above the prompted base (the paper's central
// claim), what stage 4 costs and brings (its verbose tax, section 4.2.4), and
// every subject against the base. Works on item logs alone, whatever the task;
// the run's own held-out instructions are a task, too.
#pragma once

#include <string>
#include <vector>

#include "base/record.h"
#include "eval/results.h"
#include "eval/statistics.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::report {

struct ScoreDifference {
  std::string task;
  std::string decoding;  // decoding_of both sides
  std::string score;     // of the item's "scores", or one of text_scores
  bool is_share = true;  // else a number of its own, as of tokens
  double before = 0.0;
  double after = 0.0;
  eval::Paired change;  // after - before

  static void describe(auto& visit, auto& self) {
    visit("task", self.task);
    visit("decoding", self.decoding);
    visit("score", self.score);
    visit("is_share", self.is_share);
    visit("before", self.before);
    visit("after", self.after);
    visit("difference", self.change.difference);
    visit("low", self.change.low);
    visit("high", self.change.high);
    visit("num_items", self.change.n);
  }
};

struct SubjectDifferences {
  std::string before;  // names of subjects
  std::string after;
  std::vector<ScoreDifference> rows;

  static void describe(auto& visit, auto& self) {
    visit("before", self.before);
    visit("after", self.after);
    visit("rows", self.rows);
  }
};

// Figures of an item's answer, which every task that generates has: "words",
// "tokens", "ended" (1: by itself), "repetition" (share of its 3-grams that
// stood there before), "repetitive" (1: goes round in circles,
// parse/repetition.h). Empty where the item has no answer.
Json text_scores(const Json& item);

// A run's held-out answers.
struct HeldOutAnswers {
  const store::Reader& store;
  const recipe::Prompts& prompts;  // of the run
  bool own_decoding = false;       // each variant its stage's
};

// Over every task that both were asked under the same decoding and, where
// given, the held-out instructions ("held_out"): each score that items of the
// same id have on both sides. Pairs: prompted and engraved and every adapter
// beside the run's, short and engraved, engraved and verbose, base and every
// other; those without a row are left out. `folder`: the evaluation's.
std::vector<SubjectDifferences> differences(const std::string& folder,
                                            const eval::Results& results,
                                            const HeldOutAnswers* held_out);

// differences_text of a run's held-out instructions alone.
std::string held_out_text(const recipe::Recipe& recipe,
                          const store::Reader& store);

// Whether it is of engraved and verbose.
bool is_verbose_tax(const SubjectDifferences& pair);

// For a terminal: a line for each pair and main figure (no part of another one,
// as "letters.macro"); "" where there is none.
std::string differences_text(const std::vector<SubjectDifferences>& all);

}  // namespace selfalign::report
