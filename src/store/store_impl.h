// SPDX-License-Identifier: Apache-2.0
// What a Store holds; for the store's own source files only.
#pragma once

#include <climits>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/hash.h"
#include "store/schema.h"
#include "store/seals.h"
#include "store/signing.h"
#include "store/sqlite.h"
#include "store/store.h"
#include "store/writer_lock.h"

namespace selfalign::store {

// In meta: the version of a store that was made before there was evidence;
// which SQLite versions wrote the file, how often its tables were changed, and
// the public key of whoever signs it.
inline constexpr char kMadeBefore[] = "store.made_before";
inline constexpr char kSqlite[] = "store.sqlite";
inline constexpr char kSchemaChanges[] = "store.schema_changes";
inline constexpr char kSigner[] = "store.signer";

// Error kDamaged where the signature is not that of the signer in meta, or is
// there without one, or the other way round, or where a key is none. Whether it
// is right is asked by Store::evidence.
void require_signer(const Database& db);

// For Store::find_damage.
void note_opened(const std::string& folder);

struct Store::Impl {
  Impl(const std::string& path, bool writable) : db(path, writable) {}

  bool has_annotations() const { return version >= kAnnotationsVersion; }
  bool has_evidence() const { return version >= kEvidenceVersion; }

  // The signature of the seals as they are; Error kUsage where the run is
  // signed, as meta says, and there is no key.
  void sign();

  // Reads the rows of a query whose columns are key, stage, seq, content.
  std::vector<Row> read_rows(Statement& query) const {
    std::vector<Row> rows;
    Statement parents(
        db, "SELECT parent FROM parents WHERE key = ? ORDER BY position");
    while (query.step()) {
      Row row;
      row.key = query.get_key(0);
      row.stage = query.get_text(1);
      row.seq = query.get_count(2);
      row.content = stored_json(db, query.get_text(3));
      parents.bind_key(row.key);
      while (parents.step()) row.parents.push_back(parents.get_key(0));
      parents.run();
      rows.push_back(std::move(row));
    }
    return rows;
  }

  std::optional<Row> find_row(uint64_t key) const {
    Statement query(db,
                    "SELECT key, stage, seq, content FROM rows WHERE key = ?");
    query.bind_key(key);
    std::vector<Row> rows = read_rows(query);
    if (rows.empty()) return std::nullopt;
    return std::move(rows[0]);
  }

  // A completion whose text, thought, finish, num_tokens, num_prompt_tokens,
  // logprob, fingerprint and time_s stand from column `first` on.
  StoredCompletion read_completion(const Statement& query, uint64_t key,
                                   int first) const {
    StoredCompletion stored;
    stored.completion.key = key;
    stored.completion.text = query.get_text(first);
    stored.thought = query.get_text(first + 1);
    stored.completion.finish = stored_finish(db, query.get_text(first + 2));
    stored.completion.num_tokens =
        static_cast<int>(query.get_count(first + 3, INT_MAX));
    stored.completion.num_prompt_tokens =
        static_cast<int>(query.get_count(first + 4, INT_MAX));
    stored.completion.logprob = query.get_double(first + 5);
    stored.fingerprint = query.get_text(first + 6);
    stored.time_s = query.get_double(first + 7);
    return stored;
  }

  void check_same(const Row& row) const {
    const std::optional<Row> old = find_row(row.key);
    if (!old || old->stage != row.stage || old->seq != row.seq ||
        old->parents != row.parents ||
        dump_json(old->content) != dump_json(row.content)) {
      damaged(db, str("another row in the place of ", row.stage, " ", row.seq,
                      " (", key_to_hex(row.key), ")"));
    }
  }

  std::unique_ptr<WriterLock> lock;  // released after the database is closed
  Database db;
  int64_t version = 0;  // of the schema
  Seals seals;          // of a store that is open for writing
  std::shared_ptr<const SigningKey> signing_key;
  bool in_transaction = false;
  std::function<void()> commit_hook;
  const Store* review_source = nullptr;
};

}  // namespace selfalign::store
