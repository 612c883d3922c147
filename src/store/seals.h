// SPDX-License-Identifier: Apache-2.0
// What makes a change of the store by another hand seen. For every table that
// holds evidence there is a seal: a digest (set_digest.h) of all its entries
// with all their columns, brought up to date in the transaction that writes
// them. The chain over manifests says the same of each finished stage by
// itself: content is the SHA-256 of its rows, parents, completions and verdicts
// with all columns; a link is the SHA-256 of the stage's manifest, its content
// and the link before it. A signature is made of all seals together. Who can
// rewrite the file can compute seals and chain again; a signature nobody can
// make who lacks the key.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/set_digest.h"
#include "store/sqlite.h"

namespace selfalign::store {

// Every table but the seals themselves and the signatures of them.
inline constexpr const char* kSealedTables[] = {
    "annotations", "chain",   "completions", "files",  "manifests",
    "meta",        "parents", "rows",        "stages", "verdicts"};

class Seals {
 public:
  // Of a store that is being made, or of one that was made before there were
  // seals: computed from its tables and written.
  void make(const Database& db);
  // Those that the store has. Error kDamaged where one is missing.
  void load(const Database& db);
  // Writes those that changed since; false: none did. Once that is committed,
  // or rolled back, it must be said here.
  bool save(const Database& db);
  void commit() { saved_ = digests_; }
  void roll_back() { digests_ = saved_; }

  // `entry` is Statement::entry() of all columns in the table's order.
  void add(std::string_view table, std::string_view entry);
  void remove(std::string_view table, std::string_view entry);

  // What signatures are made of.
  std::string message() const;
  // Tables that are not what the seals say.
  std::vector<std::string> broken(const Database& db) const;

 private:
  std::map<std::string, SetDigest, std::less<>> digests_;
  std::map<std::string, SetDigest, std::less<>> saved_;
};

// Writes one entry of a sealed table, and its seal with it. `write` ends with
// RETURNING * and may write nothing; `find`, if not null, selects all columns
// of the entry that it replaces.
class SealedWrite {
 public:
  SealedWrite(const Database& db, Seals& seals, const char* table,
              const char* write, const char* find = nullptr);

  Statement& write() { return write_; }
  Statement& find() { return *find_; }
  // Runs both with what is bound and unbinds it. False: nothing was written.
  bool run();

 private:
  Seals& seals_;
  const char* table_;
  Statement write_;
  std::optional<Statement> find_;
};

// Of rows 0..num_rows-1 of the stage and the verdicts of `filter` on them.
std::string content_of(const Database& db, const std::string& stage,
                       const std::string& filter, int64_t num_rows);

// `before` is the link before it, "" for the first; `manifest` the entry of its
// table, which names the stage.
std::string link_of(const std::string& before, const std::string& manifest,
                    const std::string& content);

}  // namespace selfalign::store
