// SPDX-License-Identifier: Apache-2.0
// A prompts folder with principles or exemplars taken out or added, as a
// person would edit it: the principles after a dropped one move up, and the
// thoughts of the exemplars follow.
#pragma once

#include <string>
#include <vector>

#include "recipe/prompts.h"

namespace selfalign::recipe {

struct PromptEdit {
  std::vector<int> drop_rules;             // numbers from 1
  std::vector<Principle> add_rules;        // behind the others
  std::vector<int> drop_exemplars;         // from 1
  std::vector<std::string> add_exemplars;  // files like exemplars.yaml; the
                                           // rules numbered as after the edit
  bool empty() const;
  // "drop-rule-3-add-rule-tidy"; "control" if empty.
  std::string name() const;
};

// Copies the prompts of `from` to `to`, edited. Without an edit the copies are
// the same byte for byte. Error kUsage for a number that is not there and for
// an exemplar that would name no rule any more; load_prompts finds the rest.
void write_edited_prompts(const std::string& from, const PromptEdit& edit,
                          const std::string& to);

// A thought with its "3 (helpful)" renumbered: numbers[i] is the new number of
// rule i + 1, 0 takes it out. Exposed for tests. Error kUsage if none is left.
std::string renumbered(const std::string& thought,
                       const std::vector<std::string>& names,
                       const std::vector<int>& numbers);

}  // namespace selfalign::recipe
