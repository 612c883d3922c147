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

#include "base/record.h"
#include "parse/rules.h"
#include "recipe/prompts.h"
#include "store/reader.h"

namespace selfalign::stages {

struct KeptRejected {
  int64_t kept = 0;
  int64_t rejected = 0;

  static void describe(auto& visit, auto& self) {
    visit("kept", self.kept);
    visit("rejected", self.rejected);
  }
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

struct RuleReport {
  int64_t number = 0;  // from 1
  std::string name;
  KeptRejected fired;
  double share_of_kept = 0.0;
  double share_of_self_instruct = 0.0;  // of the kept rows of that type
  double share_of_red_team = 0.0;       // of those of all of its types

  static void describe(auto& visit, auto& self) {
    visit("number", self.number);
    visit("name", self.name);
    KeptRejected::describe(visit, self.fired);
    visit("share_of_kept", self.share_of_kept);
    visit("share_of_self_instruct", self.share_of_self_instruct);
    visit("share_of_red_team", self.share_of_red_team);
  }
};

// Lists by rule.
struct TypeReport {
  std::string type;
  KeptRejected rows;
  int64_t unnamed = 0;
  std::vector<int64_t> fired;  // kept rows
  std::vector<int64_t> fired_rejected;
  std::vector<double> lift;

  static void describe(auto& visit, auto& self) {
    visit("type", self.type);
    KeptRejected::describe(visit, self.rows);
    visit("unnamed", self.unnamed);
    visit("fired", self.fired);
    visit("fired_rejected", self.fired_rejected);
    visit("lift", self.lift);
  }
};

struct PrincipleReport {
  int64_t num_rows = 0;
  int64_t num_kept = 0;
  int64_t without_thought = 0;
  KeptRejected unnamed;
  Named<int64_t> forms;  // mentions
  std::vector<std::string> never;
  std::vector<RuleReport> rules;
  std::vector<TypeReport> types;

  static void describe(auto& visit, auto& self) {
    visit("rows", self.num_rows);
    visit("kept", self.num_kept);
    visit("without_thought", self.without_thought);
    visit("unnamed", self.unnamed);
    visit("forms", self.forms);
    visit("never", self.never);
    visit("rules", self.rules);
    visit("types", self.types);
  }
};
PrincipleReport principle_report(const PrincipleUse& use);
// The rules with their shares, then the matrix: a line per type, a column per
// rule, the share of the type's kept rows in per cent.
std::string principles_text(const PrincipleUse& use);
// The first of the two tables of principles_text, for the report of a run.
std::string principles_summary(const PrincipleReport& principles);
// type,rule_number,rule,rows,kept,rejected,share_of_kept,lift; one line per
// type and rule. `rows` counts the type's kept rows.
std::string principles_csv(const PrincipleUse& use);

}  // namespace selfalign::stages
