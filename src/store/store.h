// SPDX-License-Identifier: Apache-2.0
// The run store: everything a run made, in one SQLite file (WAL, one writer,
// any number of readers). Rows are added and never changed or deleted; filters
// annotate. A stage is done when its manifest is committed. After kill -9 at
// any point the same command goes on and all digests come out the same.
//
// Tables (plain SQL-92 plus upserts):
//   rows        key, stage, seq, content
//   parents     key -> keys of the rows it came from
//   completions key -> raw text, thought, finish, tokens, fingerprint, time
//   verdicts    key, filter -> kept, reason, detail
//   annotations key -> what a person decided about the row
//   manifests   stage -> counts, digest, report
//   meta        name -> value
//   files       path in the run's folder -> SHA-256
//   chain       stage -> SHA-256 of its content, of its manifest and those
//   before seals       table -> digest of its entries (seals.h) signatures
//   public key -> signature of the seals
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "generate/generator.h"

namespace selfalign::store {

class SigningKey;  // signing.h

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

// What became of rows 0..num_rows-1 of a stage. With a filter each of them is
// kept, rejected or not judged yet; without one it is kept once it is whole.
struct Account {
  int64_t num_rows = 0;
  int64_t num_completed = 0;  // with a completion
  int64_t num_kept = 0;
  std::vector<std::pair<std::string, int64_t>> rejected;  // most first
  int64_t num_pending = 0;  // neither kept nor rejected yet
};

// A store is used by one thread at a time.
enum class OpenMode { kReadOnly, kWrite };

class Store {
 public:
  // kWrite makes the folder and database where absent and takes the writer's
  // lock (Error kFailed names the holder's process id). kReadOnly: Error
  // kInput if there is no run. A damaged database, one of a newer schema or
  // one whose signature is not that of its signer is Error kDamaged; an
  // unwritable folder or full disk Error kResources.
  static std::unique_ptr<Store> open(const std::string& folder, OpenMode mode);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::string& folder() const { return folder_; }
  // True if there is a store in `folder`. One whose making was cut short before
  // anything stood in it is none.
  static bool is_made(const std::string& folder);
  // "process 123" while one has the run open for writing, else none.
  static std::optional<std::string> writer_of(const std::string& folder);

  // Writes inside fn are one transaction: all or none of them survive a crash.
  // Writes outside are a transaction each. Not nested.
  void transaction(const std::function<void()>& fn);
  // Reads inside fn see one state of the run, also while a writer goes on.
  void snapshot(const std::function<void()>& fn) const;

  // Adds rows. A row that is there already must be the same (else Error
  // kDamaged): work that is done again after a crash adds nothing.
  void add_rows(const std::vector<Row>& rows);
  std::vector<Row> rows(const std::string& stage) const;  // by seq
  int64_t num_rows(const std::string& stage) const;
  std::optional<Row> row(uint64_t key) const;
  // Rows that name `key` as a parent, by stage and seq.
  std::vector<Row> children(uint64_t key) const;
  // Names of stages that have rows, in order of first insertion.
  std::vector<std::string> stages() const;

  // A second completion of a row must be the same text (else Error kDamaged).
  void add_completion(const StoredCompletion& completion);
  std::optional<StoredCompletion> completion(uint64_t key) const;
  int64_t num_completions(const std::string& stage) const;
  // What came in for rows of the stage.
  Activity activity(const std::string& stage) const;
  // Rows of the stage that have no completion yet, by seq.
  std::vector<Row> pending(const std::string& stage) const;

  // A verdict of the same key and filter is replaced.
  void set_verdicts(const std::vector<Verdict>& verdicts);
  std::vector<Verdict> verdicts(uint64_t key) const;
  // Rows of the stage that `filter` kept, by seq.
  std::vector<Row> kept(const std::string& stage,
                        const std::string& filter) const;
  // Names of the filters that judged rows of the stage, sorted.
  std::vector<std::string> filters(const std::string& stage) const;
  // Rejected rows by reason: {reason, count}, most first.
  std::vector<std::pair<std::string, int64_t>> rejections(
      const std::string& stage, const std::string& filter) const;

  // Calls `visit` for each row of the stage by seq until that says false. For
  // looking through many rows: the parents are not read.
  void scan(const std::string& stage, const std::string& filter,
            const std::function<bool(const SeenRow&)>& visit) const;

  // Rows that are added from now on come with the decision that `from` has for
  // the same key; null: no more. The caller keeps it alive.
  void set_annotation_source(const Store* from);
  // A person's decision about a row that is there; an earlier one is replaced.
  void add_review(const Review& review);
  std::optional<Review> review(uint64_t key) const;
  std::vector<Review> reviews(const std::string& stage) const;  // by seq

  // Digest of rows 0..num_rows-1 of the stage: keys, parents, contents,
  // completions (text, finish) and verdicts of `filter`, in order of seq.
  std::string digest(const std::string& stage, const std::string& filter,
                     int64_t num_rows) const;

  // Counted afresh from rows, completions and verdicts. `filter` "": none; in
  // a stage with completions a row is then pending until it has its own.
  Account account(const std::string& stage, const std::string& filter,
                  int64_t num_rows) const;
  // The filter that judged most rows of the stage, "" where none did.
  std::string main_filter(const std::string& stage) const;
  // Rows that have a parent among the rejected rows of `stage` or beyond its
  // first num_rows, on which no person decided; by key.
  std::vector<Row> heirs_of_nothing(const std::string& stage,
                                    const std::string& filter,
                                    int64_t num_rows) const;
  // What does not hang together, whatever the stages mean: pages and header of
  // the file, entries that are not what their seal or the chain says, sequence
  // numbers with gaps, parents that are not there, completions and verdicts of
  // no row, content that is not JSON. At most 20 of each kind.
  std::vector<Problem> problems() const;
  Evidence evidence() const;
  // Error kDamaged where a table was changed by another hand: before what is in
  // it goes into another run. Reads all of it, some 10 us an entry. Of a store
  // without evidence the stages' digests are compared.
  void require_sealed() const;
  // Error kDamaged where a file that the run keeps as evidence, a report aside,
  // is missing, reached by a link or not what it was. Reads all of them.
  void require_files() const;
  // What these two say of the stores that this process has opened so far, to
  // tell why something failed over them; "": nothing.
  static std::string find_damage();

  // From now on every transaction signs the seals, what is there at once. Error
  // kUsage where the run is signed by another key, kDamaged where it is not
  // what was signed. Without a key a signed run cannot be written (Error
  // kUsage).
  void set_signing_key(std::shared_ptr<const SigningKey> key);

  // Durable when it returns (fsync). `files` are kept as keep_files does.
  void commit_manifest(const Manifest& manifest,
                       const std::vector<std::string>& files = {});
  std::optional<Manifest> manifest(const std::string& stage) const;
  std::vector<Manifest> manifests() const;  // in order of commit

  // Digest over all manifests (stage, counts, digest) in order of commit.
  std::string run_digest() const;

  // Called after every commit that changed something has reached the file
  // (tests stop the process there).
  void set_commit_hook(std::function<void()> hook);

  void set_meta(const std::string& name, const std::string& value);
  std::optional<std::string> meta(const std::string& name) const;

  // Files of the run's folder, by their paths in it, as evidence: what they are
  // now is what they are to be. Error kInput if one is unreadable.
  void keep_files(const std::vector<std::string>& paths);
  std::map<std::string, std::string> files() const;  // path -> SHA-256

 private:
  struct Impl;
  Store(std::string folder, std::unique_ptr<Impl> impl);
  void write(const std::function<void()>& fn);
  void append_link(const Manifest& manifest);
  void prepare();
  void take_over(int64_t version);
  void keep_header();

  std::string folder_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace selfalign::store
