// SPDX-License-Identifier: Apache-2.0
// The closing report of a run, as text and as figures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "recipe/recipe.h"
#include "stages/balance.h"
#include "stages/funnel.h"
#include "stages/principles.h"
#include "stages/topic_growth.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::inspect {

// How the questions are spread over the question types, as far as there are
// any.
struct RedTeamSummary {
  std::optional<stages::TopicFigures> topics;
  std::optional<stages::BalanceFigures> questions;

  static void describe(auto& visit, auto& self) {
    visit("topics", self.topics);
    visit.inlined(self.questions);
  }
};

// Of a variant's answers to the held-out instructions.
struct HeldOutFigures {
  int64_t num_answers = 0;
  int64_t num_kept = 0;
  double share_ended = 0.0;
  double mean_tokens = 0.0;    // thoughts included
  Json sampling;               // recipe::to_json
  std::optional<double> loss;  // of the prompted base's kept answers

  static void describe(auto& visit, auto& self) {
    visit("num_answers", self.num_answers);
    visit("num_kept", self.num_kept);
    visit("share_ended", self.share_ended);
    visit("mean_tokens", self.mean_tokens);
    visit("sampling", self.sampling);
    visit("loss", self.loss);
  }
};

// A held-out instruction with what each variant wrote, raw.
struct ShownAnswers {
  std::string instruction;
  Named<std::string> answers;  // by variant

  static void describe(auto& visit, auto& self) {
    visit("instruction", self.instruction);
    visit.rest(self.answers);
  }
};

struct RunSummary {
  std::string name;
  std::string model;                   // its path
  std::vector<stages::Funnel> stages;  // whose rows are judged or learnt from
  Named<double> mean_answer_tokens;    // by stage of pairs
  RedTeamSummary red_team;
  std::optional<stages::PrincipleReport> principles;  // where there are answers
  Named<stages::TuneReport> tuning;                   // by stage
  Named<HeldOutFigures> held_out;                     // by variant
  std::string comparison;             // how variants are decoded: "one", "own"
  std::vector<std::string> decoding;  // lines that say it
  std::vector<ShownAnswers> answers;
  std::string digest;

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("model", self.model);
    visit("stages", self.stages);
    visit("mean_answer_tokens", self.mean_answer_tokens);
    visit("red_team", self.red_team);
    visit("principles", self.principles);
    visit("tuning", self.tuning);
    visit("held_out", self.held_out);
    visit("comparison", self.comparison);
    visit("decoding", self.decoding);
    visit("answers", self.answers);
    visit("digest", self.digest);
  }
};
// As far as the run has come.
RunSummary run_summary(const recipe::Recipe& recipe,
                       const store::Reader& store);

// The closing table: rows per stage with reasons of rejection, mean answer
// length per stage, losses, held-out questions side by side. Plain text.
std::string summary_text(const RunSummary& summary);

// Writes report.txt into the run folder and says in the store that the run is
// done.
void write_summary(const recipe::Recipe& recipe, store::Store& store);

}  // namespace selfalign::inspect
