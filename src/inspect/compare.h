// SPDX-License-Identifier: Apache-2.0
// Two stages on the same instructions, or two runs, side by side. Reads only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "recipe/fields.h"
#include "recipe/prompts.h"
#include "recipe/recipe.h"
#include "store/reader.h"

namespace selfalign::inspect {

// A run as it lies in its folder.
struct OpenedRun {
  const recipe::Recipe& recipe;
  const recipe::Prompts& prompts;
  const store::Reader& store;
};

// The stage that a person means: its name, or a variant (base, prompted,
// engraved, verbose: the held-out answers). Error kUsage naming those there
// are.
std::string stage_meant(const store::Reader& store, const std::string& name);

struct StageFigures {
  std::string stage;
  int64_t num_rows = 0;
  double mean_words = 0.0;   // of the answers
  double mean_tokens = 0.0;  // of the completions, or as the pairs say
  double share_ended = 0.0;
};
struct AnswerPair {
  std::string instruction;
  std::string a;
  std::string b;
};
// Rows go together that have the same instruction.
struct StageComparison {
  StageFigures a;
  StageFigures b;
  int64_t num_both = 0;
  int64_t num_same = 0;             // of those, with the same answer
  std::vector<std::string> only_a;  // instructions
  std::vector<std::string> only_b;
  std::vector<AnswerPair> different;  // in order of a
};
StageComparison compare_stages(const OpenedRun& run_a,
                               const std::string& stage_a,
                               const OpenedRun& run_b,
                               const std::string& stage_b);

struct StageCounts {
  int64_t made = 0;
  int64_t kept = 0;
};
struct StageChange {
  std::string stage;
  std::optional<StageCounts> a;  // none: that run has not done it
  std::optional<StageCounts> b;
  int64_t only_a = 0;  // rows by key
  int64_t only_b = 0;
  bool same = false;  // digests
};
struct RunComparison {
  // From a to b, places apart: "engrave.rank"; "prompts", "base model".
  std::vector<recipe::FieldChange> settings;
  std::vector<StageChange> stages;  // in order of a, then of b
};
RunComparison compare_runs(const OpenedRun& a, const OpenedRun& b);

}  // namespace selfalign::inspect
