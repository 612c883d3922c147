// SPDX-License-Identifier: Apache-2.0
// Two subjects against each other before a judge, as results.json has it. How
// its figures are made is in judge/pairwise.h, judge/agreement.h and
// eval/relative_score.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "eval/evaluation.h"

namespace selfalign::eval {

struct PairCounts {
  int64_t num_items = 0;
  int64_t wins_a = 0;
  int64_t wins_b = 0;
  int64_t ties = 0;  // flips among them
  int64_t flips = 0;
  int64_t failures = 0;
  // Of a, over all items: a tie and a failure count as half a win. None where
  // no item has a verdict: a rate of halves would say "even".
  std::optional<double> win_rate = {};

  // Early versions called the rate of no verdict a half.
  bool has_verdicts() const {
    return win_rate && (num_items == 0 || num_items > failures);
  }

  static void describe(auto& visit, auto& self) {
    visit("num_items", self.num_items);
    visit("wins_a", self.wins_a);
    visit("wins_b", self.wins_b);
    visit("ties", self.ties);
    visit("flips", self.flips);
    visit("failures", self.failures);
    visit.nullable("win_rate", self.win_rate);
  }
};

// The judge with itself over the two orders, where both have a verdict.
struct OrderAgreement {
  std::optional<double> agreement;
  std::optional<double> kappa;

  static void describe(auto& visit, auto& self) {
    visit.nullable("order_agreement", self.agreement);
    visit.nullable("order_kappa", self.kappa);
  }
};

// Rates are none where no item has a verdict.
struct PairFigures {
  PairCounts counts;
  std::optional<double> low = {};  // of the win rate: bootstrap over questions
  std::optional<double> high = {};
  std::optional<double> win_rate_failures_lost = {};
  std::optional<double> win_rate_failures_won = {};
  // At equal length (judge/length_control.h), over items without failure.
  std::optional<double> win_rate_length_controlled = {};
  std::optional<double> lc_low = {};
  std::optional<double> lc_high = {};
  std::optional<double> length_slope = {};
  std::optional<OrderAgreement> orders = {};  // none of a person, who saw one
  std::map<std::string, PairCounts> by_category = {};

  static void describe(auto& visit, auto& self) {
    PairCounts::describe(visit, self.counts);
    visit.nullable("low", self.low);
    visit.nullable("high", self.high);
    visit.nullable("win_rate_failures_lost", self.win_rate_failures_lost);
    visit.nullable("win_rate_failures_won", self.win_rate_failures_won);
    visit.nullable("win_rate_length_controlled",
                   self.win_rate_length_controlled);
    visit.nullable("lc_low", self.lc_low);
    visit.nullable("lc_high", self.lc_high);
    visit.nullable("length_slope", self.length_slope);
    visit.inlined(self.orders);
    visit("by_category", self.by_category);
  }
};

// What the judge says of pairs of the same answer.
struct IdenticalAnswers {
  int64_t num_items = 0;
  int64_t ties = 0;

  static void describe(auto& visit, auto& self) {
    visit("num_items", self.num_items);
    visit("ties", self.ties);
  }
};

// How often another judge found the same outcome, of the same answers that both
// have a verdict on.
struct JudgeAgreement {
  std::string with;
  int64_t num_items = 0;
  double raw = 0.0;
  double kappa = 0.0;

  static void describe(auto& visit, auto& self) {
    visit("with", self.with);
    visit("num_items", self.num_items);
    visit("raw", self.raw);
    visit("kappa", self.kappa);
  }
};

// Marks of a and of b, over answers that both have one for.
struct MarkSums {
  double ratio = 0.0;  // of the sums; 0 where b has none
  double a = 0.0;
  double b = 0.0;
  int64_t num_items = 0;

  static void describe(auto& visit, auto& self) {
    visit("value", self.ratio);
    visit("sum_a", self.a);
    visit("sum_b", self.b);
    visit("num_items", self.num_items);
  }
};

struct RelativeScore {
  MarkSums sums;
  double low =
      0.0;  // 95 %, bootstrap over questions, all marks of one together
  double high = 0.0;
  int64_t num_unmarked = 0;  // answers that only one has a mark on
  std::map<std::string, MarkSums> by_category;

  static void describe(auto& visit, auto& self) {
    MarkSums::describe(visit, self.sums);
    visit("low", self.low);
    visit("high", self.high);
    visit("unmarked", self.num_unmarked);
    visit("by_category", self.by_category);
  }
};

struct Comparison {
  std::string task;
  std::string judge;  // "" where there is none
  std::optional<std::string> judge_fingerprint = {};
  std::string a;  // names of subjects
  std::string b;
  std::optional<PairFigures> pairs = {};  // none where marks alone were given
  std::optional<std::string> judgements = {};  // the log of `pairs`
  std::optional<IdenticalAnswers> identical_answers = {};
  std::optional<std::vector<SelfTest>> self_tests = {};
  Json settings = {};                    // the judge's, and decoding_part
  std::vector<uint64_t> keys = {};       // of the judgements
  std::optional<int64_t> num_open = {};  // a person has not judged yet
  std::optional<std::vector<JudgeAgreement>> agreement = {};
  std::optional<RelativeScore> relative_score = {};

  static void describe(auto& visit, auto& self) {
    visit("task", self.task);
    visit("judge", self.judge);
    visit("judge_fingerprint", self.judge_fingerprint);
    visit("a", self.a);
    visit("b", self.b);
    visit.inlined(self.pairs);
    visit("judgements", self.judgements);
    visit("identical_answers", self.identical_answers);
    visit("self_tests", self.self_tests);
    // A person's come last, as they always have.
    const bool by_person = self.num_open.has_value();
    visit.may("settings", self.settings,
              !by_person && !self.settings.is_null());
    visit.may("keys", self.keys, !self.keys.empty());
    visit("num_open", self.num_open);
    if (by_person) visit.may("settings", self.settings);
    visit("agreement", self.agreement);
    visit("relative_score", self.relative_score);
  }
};

}  // namespace selfalign::eval
