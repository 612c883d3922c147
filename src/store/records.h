// SPDX-License-Identifier: Apache-2.0
// What a run consists of, as it is read and written: rows, completions,
// verdicts, a person's reviews, manifests of stages; and what stands for it or
// is wrong with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "generate/generator.h"

namespace selfalign::store {

// One thing in a stage: a request to the model, or something parsed out of a
// completion (an instruction, a topic, a training pair).
struct Row {
  uint64_t key = 0;   // unique in the run; hash of all it depends on
  std::string stage;  // "instruct.tasks", "align.answers", ...
  int64_t seq = 0;    // 0, 1, 2 ... without gaps in each stage
  std::vector<uint64_t> parents;  // keys of rows it came from
  Json content;                   // an object; its meaning is the stage's
};

// What the model wrote for a row, raw and parsed.
struct StoredCompletion {
  generate::Completion completion;
  std::string thought;      // internal thoughts cut out of the text, if any
  std::string fingerprint;  // Generator::fingerprint()
  double time_s = 0.0;      // Unix time; not part of any digest
};

struct Activity {
  int64_t num_completions = 0;
  int64_t num_tokens = 0;
  double last_s = 0.0;  // Unix time of the last completion; 0: there is none
};

struct Verdict {
  uint64_t key = 0;
  std::string filter;  // name and version: "align.default.1"
  bool kept = false;
  std::string reason;  // "" when kept; a short fixed word per filter rule
  std::string detail;  // for the person: what matched
};

// A person's decision about a row. It changes no row, completion or verdict
// and is part of no digest; stages that come after ask for it.
enum class Decision { kKeep, kDrop, kEdit };
// "keep", "drop", "edit".
const char* decision_name(Decision decision);

struct Review {
  uint64_t key = 0;
  std::string author;
  Decision decision = Decision::kKeep;
  std::string text;     // what stands in place of the row's; "": the row's own
  std::string note;     // for other persons
  double time_s = 0.0;  // Unix time
};

// What scan() shows of a row.
struct SeenRow {
  Row row;  // without its parents
  std::optional<StoredCompletion> completion;
  std::optional<Verdict> verdict;  // of the filter asked for
};

struct Manifest {
  std::string stage;
  int64_t num_rows = 0;
  int64_t num_kept = 0;
  std::string digest;  // of the stage's rows, completions, verdicts by seq
  Json report;         // the stage's own figures (funnel, losses)
};

// The filter that judged the stage's rows; "": none.
std::string filter_of(const Manifest& manifest);

// In meta: the pipeline came to its end.
inline constexpr char kDone[] = "done";

// What became of rows 0..num_rows-1 of a stage. With a filter each of them is
// kept, rejected or not judged yet; without one it is kept once it is whole.
struct Account {
  int64_t num_rows = 0;
  int64_t num_completed = 0;  // with a completion
  int64_t num_kept = 0;
  std::vector<std::pair<std::string, int64_t>> rejected;  // most first
  int64_t num_pending = 0;  // neither kept nor rejected yet
};

// What is wrong with a run, in the words of an Error.
struct Problem {
  std::string where;
  std::string expected;
  std::string found;
  std::string advice;
};

// What stands for a run's not having been changed by another hand.
struct Evidence {
  int64_t version = 0;      // of the store; before 3 there is none
  int64_t made_before = 0;  // version it had when it was made, if before 3
  std::string chain;        // its last link, 64 hex digits; "": none
  // The public key, 64 hex digits; none: it is not signed.
  std::optional<std::string> signed_by;
  bool signature_right = false;  // it is one of the seals that there are
};

}  // namespace selfalign::store
