// SPDX-License-Identifier: Apache-2.0
// results.json of an evaluation's folder: who was asked, and what was found.
// A new evaluation takes the place of the same task of the same subject under
// the same decoding and leaves the others; one process writes at a time.
#pragma once

#include <string>
#include <vector>

#include "base/record.h"
#include "eval/comparison.h"
#include "eval/evaluation.h"
#include "generate/usage.h"
#include "store/writer_lock.h"

namespace selfalign::eval {

struct SubjectInfo {
  std::string name;     // Subject::name
  std::string title;    // Subject::title
  std::string model;    // path or address, as given
  std::string adapter;  // PEFT folder, "" for none
  std::string fingerprint;

  static void describe(auto& visit, auto& self) {
    visit("name", self.name);
    visit("title", self.title);
    visit("model", self.model);
    visit.may("adapter", self.adapter);
    visit("fingerprint", self.fingerprint);
  }
};

// What a model behind a server was asked for (costs.h).
struct SubjectUsage {
  std::string kind;  // "subject" or "judge"
  std::string name;
  std::string model;  // address
  generate::UsageReport report;

  static void describe(auto& visit, auto& self) {
    visit("kind", self.kind);
    visit("name", self.name);
    visit("model", self.model);
    generate::UsageReport::describe(visit, self.report);
  }
};

struct Results {
  std::vector<SubjectInfo> subjects;  // sorted by when they were first asked
  std::vector<TaskResult> results;    // the same
  // A new one replaces that of the same task, judge, a, b and decoding.
  std::vector<Comparison> comparisons;
  // A new one replaces that of the same kind and name.
  std::vector<SubjectUsage> usage;

  static void describe(auto& visit, auto& self) {
    visit("subjects", self.subjects);
    visit("results", self.results);
    visit("comparisons", self.comparisons);
    visit.may("usage", self.usage);  // older versions have none
  }
};

// Whether it is of that task, judge, a, b and decoding.
bool is_same(const Comparison& one, const Comparison& other);

// How the answers to a task were decoded (decoding_of), each once, in order of
// results; "" alone where there are none, or only such without a decoding.
std::vector<std::string> decodings_of(const Results& results,
                                      const std::string& task);
// Without the results that were decoded otherwise; those that were not decoded,
// or nobody knows how, stay.
Results under_decoding(Results results, const std::string& decoding);

// FOLDER/results.json; empty where there is none. Error kInput names file and
// member of what is wrong.
Results read_results(const std::string& folder);

// The one writer of a folder, for as long as it lives.
class ResultsWriter {
 public:
  // Makes the folder and reads what is there. Error kFailed if another process
  // writes (FOLDER/results.lock).
  explicit ResultsWriter(const std::string& folder);

  const Results& results() const { return results_; }
  // Adds to what is there or replaces it; durable on return.
  void merge(const Results& fresh);

 private:
  std::string folder_;
  store::WriterLock lock_;
  Results results_;
};

}  // namespace selfalign::eval
