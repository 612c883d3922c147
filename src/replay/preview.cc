// SPDX-License-Identifier: Apache-2.0
#include "replay/preview.h"

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <utility>

#include "base/counted.h"
#include "base/error.h"
#include "base/progress.h"
#include "stages/row_reading.h"
#include "text/wrap.h"

namespace selfalign::replay {
namespace {

using store::Reader;
using store::SeenRow;

constexpr int kNumInstructions = 8;
constexpr int kNumRedTeam = 4;
constexpr int64_t kNumGiven = 16;
constexpr int kNumHeldOut = 3;
constexpr int kBatchSize = 4;  // some steps of so few samples

void make_small(TuneOptions& tune) {
  tune.epochs = 1;
  tune.batch_size = std::min(tune.batch_size, kBatchSize);
  tune.warmup_steps = 0;  // of so few steps it would be most
}

void make_small(recipe::GivenData& given) {
  const bool all = given.max_rows == 0;
  given.max_rows = all ? kNumGiven : std::min(given.max_rows, kNumGiven);
}

// The first row of the stage that was not rejected; where all were, the first.
std::optional<SeenRow> first_kept(const Reader& store, const std::string& stage,
                                  const std::string& profile) {
  std::optional<SeenRow> first;
  store.scan(stage, stages::filter_of(store, stage, profile),
             [&](const SeenRow& seen) {
               const bool kept = !seen.verdict || seen.verdict->kept;
               if (kept || !first) first = seen;
               return !kept;
             });
  return first;
}

PreviewExample example_of(const recipe::Prompts& prompts, const SeenRow& seen) {
  PreviewExample example{str(seen.row.stage, ":", seen.row.seq), {}};
  for (const auto& [name, value] : seen.row.content.items()) {
    if (!value.is_string() || name == "source") continue;
    named(example.texts, name) = value.get<std::string>();
  }
  if (!seen.completion) return example;
  if (!seen.completion->thought.empty()) {
    named(example.texts, "thought") = seen.completion->thought;
  }
  named(example.texts, "answer") =
      stages::answer_of(prompts, seen.row.stage,
                        seen.completion->completion.text)
          .answer;
  return example;
}

std::vector<PreviewExample> examples_of(const recipe::Prompts& prompts,
                                        const std::string& profile,
                                        const Reader& store) {
  std::vector<PreviewExample> examples;
  for (const std::string& stage : store.stages()) {
    // Requests are empty until they are answered; pairs and samples show again
    // what the answers show.
    if (stage.ends_with("requests") || stage.ends_with(".seeds") ||
        stage.ends_with(".scores") || stage.ends_with(".pairs") ||
        stage == "held_out.questions") {
      continue;
    }
    if (const auto seen = first_kept(store, stage, profile)) {
      examples.push_back(example_of(prompts, *seen));
    }
  }
  return examples;
}

std::string count_text(double count) {
  if (count < 1e5) return rounded(count, 0);
  return count < 1e8 ? rounded(count / 1e6, 1) + " M"
                     : rounded(count / 1e9, 1) + " G";
}

}  // namespace

recipe::Recipe preview_recipe(const recipe::Recipe& recipe) {
  recipe::Recipe small = recipe;
  small.name += "-preview";
  small.run_folder += "-preview";
  small.instruct.num_instructions =
      std::min(small.instruct.num_instructions, kNumInstructions);
  small.instruct.num_red_team =
      std::min(small.instruct.num_red_team, kNumRedTeam);
  small.instruct.topics_per_type = std::min(small.instruct.topics_per_type, 1);
  small.instruct.topic_rounds = 1;
  small.num_held_out = std::min(small.num_held_out, kNumHeldOut);
  small.identity_repeats = 0;  // some ninety samples, half of all the time
  make_small(small.instructions);
  make_small(small.data);
  make_small(small.engrave);
  make_small(small.tune);
  make_small(small.final);
  return small;
}

PreviewReport preview_report(const recipe::Recipe& whole,
                             const recipe::Prompts& prompts,
                             const Reader& store) {
  const recipe::Recipe small = preview_recipe(whole);
  PreviewReport report;
  report.run = store.folder();
  for (inspect::StepForecast& one : inspect::forecast(
           whole, prompts, inspect::run_eta(small, prompts, store), store)) {
    if (one.total == 0) continue;
    report.tokens += one.tokens;
    report.seconds += one.seconds;
    report.forecast.push_back(std::move(one));
  }
  const inspect::Noise noise = inspect::measure_noise(store, whole.profile);
  report.noise = {noise, inspect::noise_advice(noise, whole)};
  report.examples = examples_of(prompts, whole.profile, store);
  return report;
}

std::string preview_text(const PreviewReport& report, const Reader& store,
                         size_t width) {
  std::ostringstream out;
  for (const PreviewExample& example : report.examples) {
    out << "## " << example.row << '\n';
    for (const auto& [name, text] : example.texts) {
      out << text::wrap_text(str(name, ": ", text), "  ", width);
    }
    out << '\n';
  }
  out << "The whole run, at the rates of this small one (rather too slow: few "
         "rows leave\nslots idle):\n";
  for (const inspect::StepForecast& step : report.forecast) {
    out << "  " << std::left << std::setw(20) << step.step << std::right
        << std::setw(8) << step.total << " " << std::left << std::setw(14)
        << step.unit << std::right << std::setw(10) << count_text(step.tokens)
        << " tokens" << std::setw(10) << time_text(step.seconds) << '\n';
  }
  out << "  all: " << count_text(report.tokens) << " tokens, "
      << time_text(report.seconds) << '\n';
  const std::string& advice = report.noise.advice;
  if (!advice.empty()) out << text::wrap_text(advice, "", width);
  std::string last;
  for (const std::string& stage : store.stages()) {
    if (stage.ends_with(".samples")) last = stage;
  }
  if (!last.empty()) {
    out << "The way of one row: selfalign show " << store.folder() << " "
        << last << ":0\n";
  }
  return out.str();
}

}  // namespace selfalign::replay
