// SPDX-License-Identifier: Apache-2.0
// Principles at work: which rules the internal thoughts of stage 2 named, for
// which types of question, in answers that were kept and in rejected ones (the
// paper's statistics on the use of principles). Read from the stored thoughts,
// so it can be made of any run at any time.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/json.h"
#include "parse/rules.h"
#include "recipe/prompts.h"
#include "store/reader.h"

namespace selfalign::stages {

struct KeptRejected {
  int64_t kept = 0;
  int64_t rejected = 0;
};

struct PrincipleUse {
  std::vector<std::string> rules;  // names of the principles, in order
  // "self-instruct", "given" and the types of red-teaming, as far as there are
  // rows; rows[t], unnamed[t] and fired[t][r] go with types[t].
  std::vector<std::string> types;
  std::vector<KeptRejected> rows;
  std::vector<KeptRejected> unnamed;  // rows whose thought names no rule
  std::vector<std::vector<KeptRejected>> fired;
  std::array<int64_t, parse::kNumRuleForms> forms{};  // mentions, see rules.h
  int64_t without_thought = 0;                        // rows

  KeptRejected num_rows() const;
  // Rows in which rule r fired (r from 0).
  KeptRejected num_fired(size_t r) const;
  // Names of rules that fired in no kept row.
  std::vector<std::string> never() const;
  // P(rule | type) / P(rule) over kept rows: over 1, the rule fires more often
  // there than elsewhere. 0 where the rule or the type has no kept row.
  double lift(size_t t, size_t r) const;
};

// Type of the question that an instruction's row holds.
std::string question_type(const store::Row& instruction);

// Of the answered rows of align.answers and of the refills before round
// `before` (refill.h). A run without any gives no types.
PrincipleUse principle_use(const store::Reader& store,
                           const recipe::Prompts& prompts,
                           int before = std::numeric_limits<int>::max());

// {"rows", "kept", "without_thought", "unnamed": {..}, "forms": {form: n},
//  "never": [names], "rules": [{"number", "name", "kept", "rejected",
//  "share_of_kept", "share_of_self_instruct", "share_of_red_team"}],
//  "types": [{"type", "kept", "rejected", "unnamed",
//  "fired": [kept rows by rule], "fired_rejected", "lift"}]}
Json principles_json(const PrincipleUse& use);
// The rules with their shares, then the matrix: a line per type, a column per
// rule, the share of the type's kept rows in per cent.
std::string principles_text(const PrincipleUse& use);
// The first of the two tables of principles_text, for the report of a run.
std::string principles_summary(const Json& principles);
// type,rule_number,rule,rows,kept,rejected,share_of_kept,lift; one line per
// type and rule. `rows` counts the type's kept rows.
std::string principles_csv(const PrincipleUse& use);

}  // namespace selfalign::stages
