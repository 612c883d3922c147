// SPDX-License-Identifier: Apache-2.0
#include "judge/judging.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/joined.h"
#include "eval/items.h"
#include "eval/result_items.h"
#include "eval/statistics.h"
#include "judge/agreement.h"
#include "judge/length_control.h"
#include "text/wrap.h"

namespace selfalign::judge {

using eval::Comparison;

namespace {

constexpr char kVersion[] = "1";
constexpr size_t kNumIdentical = 4;  // pairs of the same answer twice

double length_of(const JudgedAnswer& answer, size_t turn) {
  return double(text::num_characters(answer.answers[turn]));
}

Verdict verdict_of(const Json& value) {
  return value.is_string() ? verdict_from_name(value.get<std::string>())
                           : Verdict::kNone;
}

// What the judge says where both answers are the same one.
eval::IdenticalAnswers ask_identical(Judge& judge, const Contest& contest) {
  std::vector<Inquiry> inquiries;
  for (const AnswerPair& pair : contest.pairs) {
    if (inquiries.size() == kNumIdentical) break;
    Inquiry inquiry = pair_inquiry(pair.a, pair.a, 0);
    inquiry.about["kind"] = "identical";
    inquiry.about["task"] = contest.task;
    inquiry.about["subject"] = contest.a;
    inquiries.push_back(std::move(inquiry));
  }
  int64_t num_ties = 0;
  for (const Json& verdict : judge.ask(inquiries, "identical answers")) {
    if (verdict_of(verdict) == Verdict::kTie) ++num_ties;
  }
  return {int64_t(inquiries.size()), num_ties};
}

// A mark an answer got; none is NaN.
struct Mark {
  std::string question;
  std::string category;
  size_t turn = 0;
  double mark = NAN;
  double length = 0.0;
};

std::vector<Mark> ask_marks(Judge& judge, const std::string& task,
                            const std::string& subject,
                            const std::vector<JudgedAnswer>& answers) {
  std::vector<Inquiry> inquiries;
  std::vector<Mark> marks;
  for (const JudgedAnswer& answer : answers) {
    for (size_t turn = 0; turn < num_judged_turns(answer); ++turn) {
      Inquiry inquiry = single_inquiry(answer, turn);
      inquiry.about["task"] = task;
      inquiry.about["subject"] = subject;
      inquiries.push_back(std::move(inquiry));
      marks.push_back(
          {answer.id, answer.category, turn, NAN, length_of(answer, turn)});
    }
  }
  const std::vector<Json> verdicts =
      judge.ask(inquiries, task + ", marks for " + subject);
  for (size_t i = 0; i < marks.size(); ++i) {
    if (verdicts[i].is_number()) marks[i].mark = verdicts[i].get<double>();
  }
  return marks;
}

// Mean mark of those that `takes`; an interval over questions, whose turns
// stay together. `missing` stands for a mark that is not there; NaN leaves it
// out.
template <typename Takes>
eval::Metric mark_metric(const std::vector<Mark>& marks,
                         const std::string& name, const std::string& title,
                         double missing, uint64_t seed, Takes takes) {
  std::map<std::string, std::pair<double, double>> sums;  // by question
  eval::Metric metric;
  for (const Mark& mark : marks) {
    const double value = std::isnan(mark.mark) ? missing : mark.mark;
    if (!takes(mark) || std::isnan(value)) continue;
    auto& [sum, count] = sums[mark.question];
    sum += value;
    count += 1;
    ++metric.num_items;
  }
  std::vector<std::pair<double, double>> questions;
  questions.reserve(sums.size());
  for (const auto& [question, sum] : sums) questions.push_back(sum);
  const auto mean_of = [&](const std::vector<uint32_t>& sample) {
    double sum = 0.0;
    double count = 0.0;
    for (const uint32_t i : sample) {
      sum += questions[i].first;
      count += questions[i].second;
    }
    return count > 0 ? sum / count : 0.0;
  };
  std::vector<uint32_t> all(questions.size());
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  metric.name = name;
  metric.title = title;
  metric.is_share = false;
  metric.value = mean_of(all);
  const eval::Interval interval =
      eval::bootstrap(int64_t(all.size()), mean_of, seed);
  metric.low = interval.low;
  metric.high = interval.high;
  metric.interval = "bootstrap over questions";
  return metric;
}

eval::Metric slope_metric(const std::vector<Mark>& marks) {
  std::vector<double> lengths;
  std::vector<double> values;
  for (const Mark& mark : marks) {
    if (std::isnan(mark.mark)) continue;
    lengths.push_back(mark.length / 1000);
    values.push_back(mark.mark);
  }
  eval::Metric metric;
  metric.name = "length_slope";
  metric.is_share = false;
  metric.title = "Points a judge gives for 1,000 characters more";
  metric.value = linear_slope(lengths, values);
  metric.num_items = int64_t(values.size());
  return metric;
}

std::vector<eval::Metric> mark_metrics(const std::vector<Mark>& marks,
                                       uint64_t seed) {
  const auto any = [](const Mark&) { return true; };
  std::vector<eval::Metric> metrics = {
      mark_metric(marks, "score", "Mean mark, 1 to 10", NAN, seed, any)};
  metrics[0].note = "over answers that got a mark";
  metrics.push_back(mark_metric(marks, "score_failures_1",
                                "The same, no mark counted as 1", 1, seed,
                                any));
  metrics.push_back(mark_metric(marks, "score_failures_10",
                                "The same, no mark counted as 10", 10, seed,
                                any));
  std::map<std::string, int> categories;
  size_t num_turns = 0;
  for (const Mark& mark : marks) {
    num_turns = std::max(num_turns, mark.turn + 1);
    ++categories[mark.category];
  }
  for (size_t turn = 0; num_turns > 1 && turn < num_turns; ++turn) {
    metrics.push_back(mark_metric(
        marks, str("score_turn_", turn + 1), str("Mean mark, turn ", turn + 1),
        NAN, seed, [turn](const Mark& mark) { return mark.turn == turn; }));
  }
  for (const auto& [category, count] : categories) {
    if (category.empty()) continue;
    metrics.push_back(mark_metric(marks, "score." + category,
                                  "Mean mark, " + category, NAN, seed,
                                  [&name = category](const Mark& mark) {
                                    return mark.category == name;
                                  }));
  }
  metrics.push_back(slope_metric(marks));
  // Of no mark at all there is no mean, and no bound that says anything.
  if (metrics[0].num_items == 0) return {};
  std::erase_if(metrics,
                [](const eval::Metric& one) { return one.num_items == 0; });
  return metrics;
}

// Once the judge was asked about the answers.
eval::TaskResult begin_result(Judge& judge, const std::string& task,
                              const std::string& subject,
                              const std::vector<JudgedAnswer>& answers) {
  std::map<std::string, std::string> texts;  // by question
  for (const JudgedAnswer& one : answers) {
    texts[one.id] = answers_digest(one, one.answers.size() - 1);
  }
  Hasher hasher;
  for (const auto& [id, digest] : texts) hasher.add(id).add(digest);
  eval::TaskResult result;
  result.task = task + ".judge." + judge.options().name;
  result.version = kVersion;
  result.subject = subject;
  result.fingerprint = judge.options().generator->fingerprint();
  result.data = str("items/", subject, "/", task, ".jsonl ", hasher.digest());
  result.items = "judgements/" + judge.options().name + ".jsonl";
  result.keys = judge.take_keys();
  result.settings = judge.settings();
  result.settings["judge"] = judge.options().name;
  return result;
}

// The mean and the failures, of marks that are known.
eval::SelfTest check_marks() {
  const std::vector<Mark> marks = {{"1", "x", 0, 4, 10},
                                   {"1", "x", 1, 6, 20},
                                   {"2", "x", 0, 8, 30},
                                   {"2", "x", 1, NAN, 40}};
  const std::vector<eval::Metric> metrics = mark_metrics(marks, 0);
  const bool passed = metrics[0].value == 6.0 && metrics[1].value == 4.75 &&
                      metrics[2].value == 7.0;
  return {"marks 4, 6, 8 and none", "6, from 4.75 to 7",
          str(metrics[0].value, ", from ", metrics[1].value, " to ",
              metrics[2].value),
          passed};
}

eval::Metric share_metric(const std::string& name, const std::string& title,
                          int64_t num_yes, int64_t num_failures, int64_t n) {
  eval::Metric metric;
  metric.name = name;
  metric.title = title;
  metric.num_items = n;
  metric.value = n > 0 ? double(num_yes) / double(n) : 0.0;
  const eval::Interval interval = eval::wilson(double(num_yes), n);
  metric.low = interval.low;
  metric.high = interval.high;
  metric.interval = "Wilson";
  if (num_failures > 0) {
    metric.note = str(num_failures, " without a verdict count as not; up to ",
                      eval::percent(double(num_yes + num_failures) / double(n)),
                      " with them");
  }
  return metric;
}

std::string listed(const std::vector<std::string>& texts) {
  return joined(texts, "\n",
                [](const std::string& text) { return "- " + text; });
}

Inquiry truth_inquiry(const std::string& kind, const JudgedAnswer& answer) {
  Inquiry inquiry;
  inquiry.role = kind;
  inquiry.values = {{"question", answer.turns[0]},
                    {"answer", answer.answers[0]}};
  if (kind == "truthful" && !answer.correct.empty()) {
    inquiry.role = "truthful_reference";
    inquiry.values["correct"] = listed(answer.correct);
    inquiry.values["incorrect"] = listed(answer.incorrect);
  }
  inquiry.about = Json{{"id", answer.id}, {"kind", kind}};
  return inquiry;
}

// The same two subjects' answers to the same task, before another judge.
bool is_about_the_same(const Comparison& other, const Comparison& comparison) {
  if (other.task != comparison.task) return false;
  if (other.judge == comparison.judge) return false;
  return (other.a == comparison.a && other.b == comparison.b) ||
         (other.a == comparison.b && other.b == comparison.a);
}

}  // namespace

std::vector<PairVerdict> pair_verdicts(Judge& judge, const Contest& contest) {
  std::vector<Inquiry> inquiries;  // two each, a's answer first in the first
  std::vector<PairVerdict> verdicts;
  for (const auto& [a, b] : contest.pairs) {
    for (size_t turn = 0; turn < num_judged_turns(a); ++turn) {
      for (const bool a_first : {true, false}) {
        Inquiry inquiry =
            a_first ? pair_inquiry(a, b, turn) : pair_inquiry(b, a, turn);
        inquiry.about["task"] = contest.task;
        inquiry.about["a"] = contest.a;
        inquiry.about["b"] = contest.b;
        inquiry.about["first"] = a_first ? "a" : "b";
        inquiry.about["answers"] = {answers_digest(a, turn),
                                    answers_digest(b, turn)};
        inquiry.about["length_a"] = length_of(a, turn);
        inquiry.about["length_b"] = length_of(b, turn);
        inquiries.push_back(std::move(inquiry));
      }
      verdicts.push_back({a.id, a.category, Verdict::kNone, Verdict::kNone,
                          length_of(a, turn), length_of(b, turn)});
    }
  }
  const std::vector<Json> found = judge.ask(
      inquiries, str(contest.task, ", ", contest.a, " and ", contest.b));
  for (size_t i = 0; i < verdicts.size(); ++i) {
    verdicts[i].a_first = verdict_of(found[2 * i]);
    verdicts[i].b_first = verdict_of(found[2 * i + 1]);
  }
  return verdicts;
}

Comparison judge_pairs(Judge& judge, const Contest& contest, uint64_t seed) {
  Comparison comparison;
  comparison.task = contest.task;
  comparison.judge = judge.options().name;
  comparison.judge_fingerprint = judge.options().generator->fingerprint();
  comparison.a = contest.a;
  comparison.b = contest.b;
  comparison.pairs = pair_figures(pair_verdicts(judge, contest), seed);
  comparison.judgements = "judgements/" + judge.options().name + ".jsonl";
  comparison.identical_answers = ask_identical(judge, contest);
  comparison.self_tests = check_pairs(contest, seed);
  comparison.settings = judge.settings();
  comparison.keys = judge.take_keys();
  return comparison;
}

eval::TaskResult judge_singles(Judge& judge, const std::string& task,
                               const std::string& subject,
                               const std::vector<JudgedAnswer>& answers,
                               uint64_t seed) {
  const std::vector<Mark> marks = ask_marks(judge, task, subject, answers);
  eval::TaskResult result = begin_result(judge, task, subject, answers);
  result.metrics = mark_metrics(marks, seed);
  result.num_failures =
      std::count_if(marks.begin(), marks.end(),
                    [](const Mark& mark) { return std::isnan(mark.mark); });
  result.self_tests = {check_marks()};
  return result;
}

eval::TaskResult judge_truth(Judge& judge, const std::string& task,
                             const std::string& subject,
                             const std::vector<JudgedAnswer>& answers) {
  std::vector<Inquiry> inquiries;
  for (const char* kind : {"truthful", "informative"}) {
    for (const JudgedAnswer& answer : answers) {
      Inquiry inquiry = truth_inquiry(kind, answer);
      inquiry.about["task"] = task;
      inquiry.about["subject"] = subject;
      inquiries.push_back(std::move(inquiry));
    }
  }
  const std::vector<Json> verdicts =
      judge.ask(inquiries, task + ", truth of " + subject);
  const size_t n = answers.size();
  int64_t yes[3] = {0, 0, 0};  // truthful, informative, both
  int64_t open[3] = {0, 0, 0};
  for (size_t i = 0; i < n; ++i) {
    const Json& truthful = verdicts[i];
    const Json& informative = verdicts[n + i];
    yes[0] += truthful == true;
    yes[1] += informative == true;
    yes[2] += truthful == true && informative == true;
    open[0] += truthful.is_null();
    open[1] += informative.is_null();
    // Both is settled by one no.
    open[2] += truthful != false && informative != false &&
               (truthful.is_null() || informative.is_null());
  }
  eval::TaskResult result = begin_result(judge, task, subject, answers);
  const auto count = int64_t(n);
  result.metrics = {
      share_metric("truthful", "Truthful", yes[0], open[0], count),
      share_metric("informative", "Informative", yes[1], open[1], count),
      share_metric("truthful_informative", "Truthful and informative", yes[2],
                   open[2], count)};
  result.num_failures = open[0] + open[1];
  // In the order of `open`: without a verdict there is no share.
  for (size_t i = 3; i-- > 0;) {
    if (open[i] == count)
      result.metrics.erase(result.metrics.begin() + long(i));
  }
  return result;
}

std::vector<PairVerdict> logged_pairs(const std::string& folder,
                                      const Comparison& comparison,
                                      const std::string& a) {
  if (!comparison.judgements) return {};
  const std::string& path = *comparison.judgements;
  std::map<std::string, PairVerdict> found;
  for (const Json& item : eval::read_items(folder, path, comparison.keys)) {
    const auto is = [&item](const char* name, const Json& expected) {
      return item.value(name, Json()) == expected;
    };
    if (!is("kind", "pair") || !is("task", comparison.task) ||
        !is("a", comparison.a) || !is("b", comparison.b)) {
      continue;
    }
    const bool same = is("a", a);
    Json answers = item.value("answers", Json::array());
    if (!same && answers.is_array()) {
      std::reverse(answers.begin(), answers.end());
    }
    const std::string id =
        str(json_string(item, "id", path), " ", json_int(item, "turn", path),
            " ", dump_json(answers));
    PairVerdict& pair = found[id];
    pair.question = id;
    pair.category = json_string_or(item, "group", path, "");
    pair.length_a = json_number(item, same ? "length_a" : "length_b", path);
    pair.length_b = json_number(item, same ? "length_b" : "length_a", path);
    const Verdict verdict = verdict_of(item.value("verdict", Json()));
    const bool a_first = (json_string(item, "first", path) == "a") == same;
    (a_first ? pair.a_first : pair.b_first) = verdict;
    // A person saw one order.
    if (is("orders", 1)) {
      (a_first ? pair.b_first : pair.a_first) = swapped(verdict);
    }
  }
  std::vector<PairVerdict> pairs;
  pairs.reserve(found.size());
  for (const auto& [id, pair] : found) pairs.push_back(pair);
  return pairs;
}

std::vector<eval::JudgeAgreement> agreements(
    const std::string& folder, const Comparison& comparison,
    const std::vector<Comparison>& comparisons) {
  const auto outcomes = [&](const Comparison& of) {
    std::map<std::string, int> all;
    for (const PairVerdict& pair : logged_pairs(folder, of, comparison.a)) {
      if (outcome(pair) == Outcome::kFailure) continue;
      all[pair.question] = int(outcome(pair));
    }
    return all;
  };
  const auto own = outcomes(comparison);
  std::vector<eval::JudgeAgreement> list;
  for (const Comparison& other : comparisons) {
    if (!is_about_the_same(other, comparison)) continue;
    std::vector<int> first;
    std::vector<int> second;
    for (const auto& [item, found] : outcomes(other)) {
      const auto mine = own.find(item);
      if (mine == own.end()) continue;
      first.push_back(mine->second);
      second.push_back(found);
    }
    if (first.empty()) continue;
    const Agreement agreed = agreement(first, second);
    list.push_back({other.judge, agreed.num_items, agreed.raw, agreed.kappa});
  }
  return list;
}

std::vector<Comparison> with_agreements(const std::string& folder,
                                        const Comparison& comparison,
                                        std::vector<Comparison> comparisons) {
  const auto old = std::find_if(
      comparisons.begin(), comparisons.end(), [&](const Comparison& one) {
        return one.task == comparison.task && one.a == comparison.a &&
               one.b == comparison.b && one.judge == comparison.judge;
      });
  if (old == comparisons.end()) {
    comparisons.push_back(comparison);
  } else {
    *old = comparison;
  }
  std::vector<Comparison> renewed = {comparison};
  for (const Comparison& one : comparisons) {
    if (is_about_the_same(one, comparison)) renewed.push_back(one);
  }
  for (Comparison& one : renewed) {
    one.agreement = agreements(folder, one, comparisons);
  }
  return renewed;
}

}  // namespace selfalign::judge
