// SPDX-License-Identifier: Apache-2.0
// Which principles an internal thought names (paper: section 3.2): "I should
// follow rules 3 (helpful), 7 (candor)". A small model seldom keeps to one
// form, so the grammar is tolerant and every form it met is counted.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace selfalign::parse {

// How a rule was named.
enum class RuleForm {
  kWhole,        // 3 (helpful), "helpful" (3), 3: helpful
  kNumberOnly,   // rules 1, 2 and 4 to 6
  kNameOnly,     // the "helpful" rule, rules helpful and candor
  kMisspelt,     // 3 (helpfull): the nearest name counts
  kWrongNumber,  // 8 (helpful): the name counts
  kUnknown,      // 3 (tidy), rule 99: no principle; nothing counts
};
inline constexpr size_t kNumRuleForms = 6;
// "whole", "number_only", "name_only", "misspelt", "wrong_number", "unknown".
inline constexpr std::array<const char*, kNumRuleForms> kRuleFormNames = {
    "whole", "number_only", "name_only", "misspelt", "wrong_number", "unknown"};

struct FiredRules {
  std::vector<int> rules;  // numbers from 1, in the order named, each once
  std::array<int, kNumRuleForms> forms{};  // mentions of each RuleForm

  int count(RuleForm form) const { return forms[static_cast<size_t>(form)]; }
  // Mentions that a reader stumbles over: misspelt, wrong number, unknown.
  int num_malformed() const;
};
// `names` are the principles in order; case, spaces and hyphens in them do not
// matter. Numbers without a name and names without a number count only in the
// list that follows "rule(s)" or "principle(s)", a name in quotes or brackets
// anywhere in a sentence with such a word; a number with its name anywhere.
FiredRules find_rules(const std::string& thought,
                      const std::vector<std::string>& names);

}  // namespace selfalign::parse
