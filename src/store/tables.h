// SPDX-License-Identifier: Apache-2.0
// An open run.db and how its rows are read; for the store's own source files
// only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/records.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "store/writer_lock.h"

namespace selfalign::store {

// In meta: the version of a store that was made before there was evidence;
// which SQLite versions wrote the file, how often its tables were changed, and
// the public key of whoever signs it.
inline constexpr char kMadeBefore[] = "store.made_before";
inline constexpr char kSqlite[] = "store.sqlite";
inline constexpr char kSchemaChanges[] = "store.schema_changes";
inline constexpr char kSigner[] = "store.signer";

struct Tables {
  // For a writer, who has the lock, or for a reader, without one.
  Tables(const std::string& path, std::unique_ptr<WriterLock> writer)
      : lock(std::move(writer)), db(path, lock != nullptr) {}

  bool has_annotations() const { return version >= kAnnotationsVersion; }
  bool has_evidence() const { return version >= kEvidenceVersion; }

  // Reads the rows of a query whose columns are key, stage, seq, content.
  std::vector<Row> read_rows(Statement& query) const;
  // A completion whose text, thought, finish, num_tokens, num_prompt_tokens,
  // logprob, fingerprint and time_s stand from column `first` on.
  StoredCompletion read_completion(const Statement& query, uint64_t key,
                                   int first) const;

  const std::unique_ptr<WriterLock> lock;  // given back after db is closed
  Database db;
  int64_t version = 0;  // of the schema
};

}  // namespace selfalign::store
