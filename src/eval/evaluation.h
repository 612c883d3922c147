// SPDX-License-Identifier: Apache-2.0
// What all evaluations have in common: who is asked, what was found. A result
// is computed from logged items alone (item_log.h), so it can be computed
// again, and every figure can be traced to the items it came from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/record.h"
#include "generate/generator.h"
#include "recipe/chat.h"

namespace selfalign::eval {

struct PublishedAnswers;  // published_answers.h

// A way to speak to a model and to read its answers (forms.h).
class Form {
 public:
  virtual ~Form() = default;
  // The request that asks for the answer to `user` after `history`: prefix,
  // suffix and sampling with the prompt's stop strings; the caller sets key.
  virtual generate::Request ask(const std::vector<recipe::ChatTurn>& history,
                                const std::string& user) const = 0;
  // The context of texts that are scored as answers to `user`: as asked, but
  // thoughts left out, so that what follows is the answer itself.
  virtual std::string context(const std::string& user) const;
  // The answer in a completion, as a user reads it: trimmed, without thoughts.
  virtual std::string read(const generate::Completion& completion) const = 0;
};

// A model under evaluation and the way it is spoken to.
struct Subject {
  std::string name;   // unique in an evaluation: "base", "verbose"
  std::string title;  // for people: "base under the 16 principles"
  generate::Generator* generator = nullptr;
  // In place of a generator and of how it is spoken to: answers that are there.
  std::shared_ptr<const PublishedAnswers> published = {};
  std::shared_ptr<const Form> form = {};
};

// A figure.
struct Metric {
  std::string name;   // "mc1"
  std::string title;  // "MC1: most probable choice is the best answer"
  double value = 0.0;
  double low = 0.0;  // 95 % interval; how it was made stands in `interval`
  double high = 0.0;
  std::string interval;          // "Wilson", "bootstrap over items", "" none
  int64_t num_items = 0;         // it was computed over
  std::optional<double> chance;  // of a guesser; none where there is no such
  bool higher_is_better = true;
  bool is_share = true;  // in [0, 1], a difference in [-1, 1], never percent;
                         // else a number of its own: tokens, marks
  std::string note;      // a label that must stand beside the figure, or ""

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("title", self.title);
    visit("value", self.value);
    visit("num_items", self.num_items);
    visit.together(!self.interval.empty(), [&self](auto& each) {
      each("low", self.low);
      each("high", self.high);
      each("interval", self.interval);
    });
    visit("chance", self.chance);
    visit.may("higher_is_better", self.higher_is_better);
    visit.may("is_share", self.is_share);
    visit.may("note", self.note, !self.note.empty());
  }
};

// An evaluator judged by answers that are known: a random scorer, an oracle,
// permuted choices. Made anew in every run.
struct SelfTest {
  std::string name;      // "random scorer is at chance"
  std::string expected;  // "22.3 % +- 2.9"
  std::string found;     // "21.9 %"
  bool passed = false;

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("expected", self.expected);
    visit("found", self.found);
    visit("passed", self.passed);
  }
};

// One task for one subject.
struct TaskResult {
  std::string task;     // "truthfulqa", "hhh", "vicuna"
  std::string version;  // of the task here: changes when its figures would
  std::string subject;
  std::string fingerprint;  // of the subject's model
  std::string data;         // file name and XXH3-128 of what was asked
  std::vector<Metric> metrics;
  std::vector<SelfTest> self_tests;
  std::string items;  // file of the items, relative to the evaluation's folder
  // Of the items it was computed from: the file may hold those of other
  // settings, too. Empty, as of older versions: of each id the last.
  std::vector<uint64_t> keys;
  int64_t num_failures = 0;  // items without a usable outcome, counted as such
  Json settings;             // all else that the figures depend on

  static void describe(auto& visit, auto& self) {
    visit("task", self.task);
    visit("version", self.version);
    visit("subject", self.subject);
    visit("fingerprint", self.fingerprint);
    visit("data", self.data);
    visit("metrics", self.metrics);
    visit("self_tests", self.self_tests);
    visit("items", self.items);
    visit("num_failures", self.num_failures);
    visit.may("settings", self.settings);
    visit.may("keys", self.keys, !self.keys.empty());
  }
};

// What the answers of a result, or of a judge's comparison, were decoded by,
// out of its settings. Results are beside each other only where it is equal.
// "own": each subject by its stage's; "": by nothing (no answers), or not
// known. Settings of versions that did not say it: own, for so it was.
std::string decoding_of(const Json& settings);
inline constexpr char kOwnDecoding[] = "own";
// For people: "temperature 0.7, top-p ..."; "" where decoding_of is.
std::string decoding_text(const Json& settings);
// The members that say it, for the settings of what is made of the answers:
// "decoding", "one", "own" or, where it is not known, "given"; and "sampling".
Json decoding_part(const Json& settings);
// Lines that stand under a table of `results`, which all have one decoding_of:
// of all, or of each; none where it is "".
std::vector<std::string> decoding_lines(const std::vector<TaskResult>& results);

// What stands between a context and what is scored as an answer: a blank where
// the context does not end in white space, else nothing.
std::string answer_start(const std::string& context);

}  // namespace selfalign::eval
