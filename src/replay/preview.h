// SPDX-License-Identifier: Apache-2.0
// A recipe tried on a handful of rows: the same pipeline with small numbers,
// an example of every stage, and what the whole run would take.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/record.h"
#include "inspect/eta.h"
#include "inspect/noise.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/store.h"

namespace selfalign::replay {

// `recipe` with at most 8 instructions, 4 red-team questions and 3 held-out
// ones, a step or two of each tuning, in the folder "<run_folder>-preview".
recipe::Recipe preview_recipe(const recipe::Recipe& recipe);

// The first row that each stage kept, with its texts by name.
struct PreviewExample {
  std::string row;  // "align.answers:0"
  Named<std::string> texts;

  static void describe(auto& visit, auto& self) {
    visit("row", self.row);
    visit.rest(self.texts);
  }
};

struct PreviewNoise {
  inspect::Noise noise;
  std::string advice;  // noise_advice

  static void describe(auto& visit, auto& self) {
    visit("mean_logprob", self.noise.mean_logprob);
    visit("made", self.noise.num_made);
    visit("incoherent", self.noise.num_incoherent);
    visit("advice", self.advice);
  }
};

// Of a finished preview, and of the whole run.
struct PreviewReport {
  std::string run;  // folder of the preview
  PreviewNoise noise;
  std::vector<PreviewExample> examples;
  std::vector<inspect::StepForecast> forecast;
  double tokens = 0.0;
  double seconds = 0.0;

  static void describe(auto& visit, auto& self) {
    visit("run", self.run);
    visit("noise", self.noise);
    visit("examples", self.examples);
    visit("forecast", self.forecast);
    visit("tokens", self.tokens);
    visit("seconds", self.seconds);
  }
};
PreviewReport preview_report(const recipe::Recipe& whole,
                             const recipe::Prompts& prompts,
                             const store::Reader& store);
// For a person; `store` is the report's.
std::string preview_text(const PreviewReport& report,
                         const store::Reader& store, size_t width);

}  // namespace selfalign::replay
