// SPDX-License-Identifier: Apache-2.0
// What a principle or an exemplar does: rows of a run's stage 2 are answered
// again under an edited prompt with the same draws, and compared. The draws of
// a row come from its key, so an ablation's rows carry the keys of the run's
// rows, in a store of their own: RUN/ablations/NAME. The run's own store is
// only read. An ablation without an edit gives every text again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/record.h"
#include "recipe/edited_prompts.h"
#include "recipe/recipe.h"
#include "stages/workbench.h"
#include "store/store.h"

namespace selfalign::replay {

struct AblateOptions {
  recipe::PromptEdit edit;
  int64_t num_rows = 0;  // drawn from all, the same for every edit; 0: all
  std::string name;      // of the folder; "": from edit and rows
};

// Stage 2 under one of the two prompts.
struct AblationSide {
  int64_t num_kept = 0;
  std::map<std::string, int64_t> rejected;  // by reason
  double mean_tokens = 0.0;
  double share_ended = 0.0;
  int64_t num_unnamed = 0;  // rows whose thought names no rule

  static void describe(auto& visit, auto& self) {
    visit("kept", self.num_kept);
    visit("rejected", self.rejected);
    visit("mean_tokens", self.mean_tokens);
    visit("share_ended", self.share_ended);
    visit("unnamed", self.num_unnamed);
  }
};

// Rows whose thought names the rule.
struct AblatedRule {
  std::string name;
  int64_t before = 0;
  int64_t after = 0;

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("before", self.before);
    visit("after", self.after);
  }
};

// An outcome is "kept" or the reason of rejection.
struct ChangedText {
  std::string instruction;
  std::string before;
  std::string before_outcome;
  std::string after;
  std::string after_outcome;

  static void describe(auto& visit, auto& self) {
    visit("instruction", self.instruction);
    visit("before", self.before);
    visit("before_outcome", self.before_outcome);
    visit("after", self.after);
    visit("after_outcome", self.after_outcome);
  }
};

struct AblationReport {
  std::string folder;
  std::string edit;
  int64_t num_rows = 0;
  int64_t num_changed = 0;  // texts
  double share_changed = 0.0;
  AblationSide before;
  AblationSide after;
  std::vector<AblatedRule> rules;
  std::vector<ChangedText> examples;  // the first of them

  static void describe(auto& visit, auto& self) {
    visit("folder", self.folder);
    visit("edit", self.edit);
    visit("rows", self.num_rows);
    visit("texts_changed", self.num_changed);
    visit("share_changed", self.share_changed);
    visit("before", self.before);
    visit("after", self.after);
    visit("rules", self.rules);
    visit("examples", self.examples);
  }
};

// Answers what is not answered yet and compares. Error kInput if the run's
// stage 2 is not done, kUsage if NAME holds another ablation or the model is
// not the run's. Writes report.json and report.txt into the folder.
AblationReport ablate(const recipe::Recipe& recipe, const store::Reader& run,
                      const AblateOptions& options,
                      stages::Workbench& workbench);

std::string ablation_text(const AblationReport& report);

}  // namespace selfalign::replay
