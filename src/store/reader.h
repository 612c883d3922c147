// SPDX-License-Identifier: Apache-2.0
// What a run's store says: one SQLite file with everything that the run made.
// Any number of readers, also while a writer goes on (store.h).
//
// Tables (plain SQL-92 plus upserts):
//   rows         key, stage, seq, content
//   parents      key -> keys of the rows it came from
//   completions  key -> raw text, thought, finish, tokens, fingerprint, time
//   verdicts     key, filter -> kept, reason, detail
//   annotations  key -> what a person decided about the row
//   manifests    stage -> counts, digest, report
//   meta         name -> value
//   files        path in the run's folder -> SHA-256
//   chain        stage -> SHA-256 of its content, of its manifest and those
//                before
//   seals        table -> digest of its entries (seals.h)
//   signatures   public key -> signature of the seals
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/records.h"

namespace selfalign::store {

struct Tables;  // tables.h

// Used by one thread at a time.
class Reader {
 public:
  // Error kInput if there is no run. A damaged database, one of a newer schema
  // or one whose signature is not that of its signer is Error kDamaged.
  static std::unique_ptr<Reader> open(const std::string& folder);
  virtual ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  const std::string& folder() const { return folder_; }
  // True if there is a store in `folder`. One whose making was cut short before
  // anything stood in it is none.
  static bool is_made(const std::string& folder);
  // "process 123" while one has the run open for writing, else none.
  static std::optional<std::string> writer_of(const std::string& folder);

  // Reads inside fn see one state of the run, also while a writer goes on.
  void snapshot(const std::function<void()>& fn) const;

  std::vector<Row> rows(const std::string& stage) const;  // by seq
  int64_t num_rows(const std::string& stage) const;
  std::optional<Row> row(uint64_t key) const;
  std::optional<Row> row(const std::string& stage, int64_t seq) const;
  // Rows that name `key` as a parent, by stage and seq.
  std::vector<Row> children(uint64_t key) const;
  // Names of stages that have rows, in order of first insertion.
  std::vector<std::string> stages() const;

  std::optional<StoredCompletion> completion(uint64_t key) const;
  int64_t num_completions(const std::string& stage) const;
  // What came in for rows of the stage.
  Activity activity(const std::string& stage) const;
  // Rows of the stage that have no completion yet, by seq.
  std::vector<Row> pending(const std::string& stage) const;

  std::vector<Verdict> verdicts(uint64_t key) const;
  // Rows of the stage that `filter` kept, by seq.
  std::vector<Row> kept(const std::string& stage,
                        const std::string& filter) const;
  // Names of the filters that judged rows of the stage, sorted.
  std::vector<std::string> filters(const std::string& stage) const;
  // The filter that judged most rows of the stage, "" where none did.
  std::string main_filter(const std::string& stage) const;
  // Rejected rows by reason: {reason, count}, most first.
  std::vector<std::pair<std::string, int64_t>> rejections(
      const std::string& stage, const std::string& filter) const;

  // Calls `visit` for each row of the stage by seq until that says false. For
  // looking through many rows: the parents are not read.
  void scan(const std::string& stage, const std::string& filter,
            const std::function<bool(const SeenRow&)>& visit) const;
  // Counted afresh from rows, completions and verdicts. `filter` "": none; in
  // a stage with completions a row is then pending until it has its own.
  Account account(const std::string& stage, const std::string& filter,
                  int64_t num_rows) const;

  std::optional<Review> review(uint64_t key) const;
  std::vector<Review> reviews(const std::string& stage) const;  // by seq

  // Digest of rows 0..num_rows-1 of the stage: keys, parents, contents,
  // completions (text, finish) and verdicts of `filter`, in order of seq.
  std::string digest(const std::string& stage, const std::string& filter,
                     int64_t num_rows) const;
  std::optional<Manifest> manifest(const std::string& stage) const;
  std::vector<Manifest> manifests() const;  // in order of commit
  // Digest over all manifests (stage, counts, digest) in order of commit.
  std::string run_digest() const;

  std::optional<std::string> meta(const std::string& name) const;
  std::map<std::string, std::string> files() const;  // path -> SHA-256

  // For this folder's own sources.
  Tables& tables() const { return *tables_; }

 protected:
  Reader(std::string folder, std::unique_ptr<Tables> tables);
  // Before anything is read or written: the schema, who signed and, with
  // `thorough`, how the pages hang together.
  void check(bool thorough) const;

 private:
  const std::string folder_;
  const std::unique_ptr<Tables> tables_;
};

// Folders of the runs that this process has opened so far.
std::set<std::string> opened_folders();

}  // namespace selfalign::store
