// SPDX-License-Identifier: Apache-2.0
// How far a run is, how fast it goes and how long it will take, by step: from
// what is in its folder, so also while another process works on it, and after
// it was stopped. And what a whole run would take, going by a small one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::inspect {

struct StepEta {
  std::string step;  // "instruct", "align", "engrave", "held-out, base"
  std::string unit;  // "instructions", "rows", "samples"
  int64_t done = 0;  // units
  int64_t total = 0;
  bool at_most = false;  // of total: nobody knows how many it will be
  bool finished = false;
  bool is_tuning = false;
  int64_t num_tokens = 0;  // generated, or learnt from
  double seconds = -1.0;   // of the work that made them (work.h); -1: not known
  double last_s = 0.0;     // Unix time of the last sign of life
  double units_per_s = 0.0;  // over all timed work; 0: not known
  double tokens_per_s = 0.0;
  double left_s = -1.0;  // -1: nothing is known yet

  static void describe(auto& visit, auto& self) {
    visit("step", self.step);
    visit("unit", self.unit);
    visit("done", self.done);
    visit("total", self.total);
    visit("finished", self.finished);
    visit("tokens", self.num_tokens);
    visit("units_per_s", self.units_per_s);
    visit("tokens_per_s", self.tokens_per_s);
    visit.may("seconds", self.seconds, self.seconds >= 0.0);
    visit.may("left_s", self.left_s, self.left_s >= 0.0);
  }
};

struct RunEta {
  std::vector<StepEta> steps;  // in order of the method
  double last_s = 0.0;         // last sign of life; 0: none yet
  double left_s = 0.0;         // of the steps that something is known of
  bool all_known = true;       // false: some step's left_s is not
  bool done = false;
  std::optional<std::string> writer;  // "process 123" while one is at work

  static void describe(auto& visit, auto& self) {
    visit("steps", self.steps);
    visit("left_s", self.left_s);
    visit("all_known", self.all_known);
    visit("last_s", self.last_s);
    visit.nullable("writer", self.writer);
  }
};
// Totals are the recipe's; before a step has begun it is expected to keep what
// earlier ones kept, and to write as many tokens as it may.
RunEta run_eta(const recipe::Recipe& recipe, const recipe::Prompts& prompts,
               const store::Reader& store);

// "running as process 123", "done", "stopped since 14:02:10 (3h05m ago)",
// "running ..., but nothing came for 12m10s".
std::string state_text(const RunEta& eta, double now_s);
// A line per step: done, rates, time to go.
std::string eta_text(const RunEta& eta, double now_s);

struct StepForecast {
  std::string step;
  std::string unit;
  int64_t total = 0;  // units of the whole run
  double tokens = 0.0;
  double seconds = 0.0;

  static void describe(auto& visit, auto& self) {
    visit("step", self.step);
    visit("unit", self.unit);
    visit("total", self.total);
    visit("tokens", self.tokens);
    visit("seconds", self.seconds);
  }
};
// What `recipe` will take if every unit takes what it took in `small`, the
// finished preview in `store`, without identity rows; those count by their
// length beside its samples. Few rows leave slots idle, so the seconds are
// rather too many. A step that was not timed has 0 seconds.
std::vector<StepForecast> forecast(const recipe::Recipe& recipe,
                                   const recipe::Prompts& prompts,
                                   const RunEta& small,
                                   const store::Reader& store);

}  // namespace selfalign::inspect
