// SPDX-License-Identifier: Apache-2.0
// What the run has achieved, on instructions that no stage has seen: base,
// base under the engraved model's short prompt and under stage 2's, engraved
// and verbose model answer the same held-out instructions under one decoding,
// as far as the recipe makes them (a baseline is compared with the plain base);
// and how well the engraved model, without principles, expects the answers
// that the principles brought about.
//
// Stages: held_out.questions -> held_out.V.answers -> held_out.V.pairs for V =
// base, short, prompted, engraved, verbose, tuned; held_out.base.loss and
// held_out.engraved.loss: mean loss per token of the prompted base's answers
// under the engraved model's short prompt.
#pragma once

#include <cstdint>
#include <optional>

#include "base/record.h"
#include "stages/run.h"
#include "stages/stage_table.h"

namespace selfalign::stages {

void run_held_out(const Run& run);

// The report of a stage held_out.V.loss.
struct LossReport {
  int64_t num_tokens = 0;
  int64_t num_answers = 0;  // a server may score some alone; early runs: 0
  std::optional<double> loss = {};  // a token; of none there is no loss

  static void describe(auto& visit, auto& self) {
    visit("num_tokens", self.num_tokens);
    visit.may("num_answers", self.num_answers);
    visit("loss", self.loss);
  }
};

// The form of a base model without a prompt: the instruction and a blank line.
const recipe::ChatPrompt& plain_prompt();

}  // namespace selfalign::stages
