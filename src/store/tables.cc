// SPDX-License-Identifier: Apache-2.0
#include "store/tables.h"

#include <climits>

namespace selfalign::store {

std::vector<Row> Tables::read_rows(Statement& query) const {
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

StoredCompletion Tables::read_completion(const Statement& query, uint64_t key,
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

}  // namespace selfalign::store
