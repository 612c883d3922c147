// What a Store holds; for the store's own source files only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/hash.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "store/store.h"
#include "store/writer_lock.h"

namespace selfalign::store {

struct Store::Impl {
  Impl(const std::string& path, bool writable) : db(path, writable) {}

  // Reads the rows of a query whose columns are key, stage, seq, content.
  std::vector<Row> read_rows(Statement& query) const {
    std::vector<Row> rows;
    Statement parents(
        db, "SELECT parent FROM parents WHERE key = ? ORDER BY position");
    while (query.step()) {
      Row row;
      row.key = query.get_key(0);
      row.stage = query.get_text(1);
      row.seq = query.get_int(2);
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
    stored.completion.num_tokens = static_cast<int>(query.get_int(first + 3));
    stored.completion.num_prompt_tokens =
        static_cast<int>(query.get_int(first + 4));
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
  bool in_transaction = false;
  std::function<void()> commit_hook;
  const Store* annotation_source = nullptr;
};

}  // namespace selfalign::store
