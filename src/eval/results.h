// SPDX-License-Identifier: Apache-2.0
// results.json of an evaluation's folder: who was asked, and what was found.
// A new evaluation takes the place of the same task of the same subject under
// the same decoding and leaves the others; one process writes at a time.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "eval/evaluation.h"
#include "store/writer_lock.h"

namespace selfalign::eval {

struct SubjectInfo {
  std::string name;     // Subject::name
  std::string title;    // Subject::title
  std::string model;    // path or address, as given
  std::string adapter;  // PEFT folder, "" for none
  std::string fingerprint;
};

struct Results {
  std::vector<SubjectInfo> subjects;  // sorted by when they were first asked
  std::vector<TaskResult> results;    // the same
  // Two subjects against each other: objects with at least "task", "judge" (""
  // where there is none), "a" and "b" (names of subjects); a new one replaces
  // that of the same four under the same decoding (of its "settings").
  std::vector<Json> comparisons;
  // What models behind a server were asked for (costs.h): objects with at least
  // "kind" and "name"; a new one replaces that of the same two.
  std::vector<Json> usage;
};

// {"subjects", "results", "comparisons", "usage"}, as results.json has them.
Json to_json(const Results& results);

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
