// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <sqlite3.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "store/side_files.h"
#include "store/store_impl.h"

namespace selfalign::store {

Store::Store(std::string folder, std::unique_ptr<Impl> impl)
    : folder_(std::move(folder)), impl_(std::move(impl)) {}

Store::~Store() = default;

std::unique_ptr<Store> Store::open(const std::string& folder, OpenMode mode) {
  const std::string path = folder + "/run.db";
  const bool writable = mode == OpenMode::kWrite;
  std::unique_ptr<WriterLock> lock;
  if (writable) {
    try {
      make_private_folder(folder);
      make_file(path);  // SQLite would let others read it
    } catch (const Error& error) {
      throw Error(ErrorKind::kResources, error.what());
    }
    lock = std::make_unique<WriterLock>(folder + "/run.lock");
    remove_stale_temporaries(folder);
  } else if (std::error_code ignored;
             !std::filesystem::exists(path, ignored) || is_being_made(path)) {
    throw Error(ErrorKind::kInput,
                str(folder,
                    ": expected a run folder with run.db, found none; "
                    "start one with: selfalign run RECIPE"));
  }
  auto impl = std::make_unique<Impl>(path, writable);
  impl->lock = std::move(lock);
  std::unique_ptr<Store> store(new Store(folder, std::move(impl)));
  if (writable) store->prepare();
  Impl& opened = *store->impl_;
  check_schema(opened.db, writable);
  opened.version = schema_version(opened.db);
  if (opened.has_evidence()) require_signer(opened.db);
  if (writable) {
    opened.seals.load(opened.db);
    store->keep_header();
  }
  note_opened(folder);
  return store;
}

// Tables where they are absent or of an earlier version, with the evidence of
// what is there: all in one transaction.
void Store::prepare() {
  Database& db = impl_->db;
  db.exec(
      "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
      "PRAGMA foreign_keys=ON;");
  const int64_t before = schema_version(db);
  if (before >= kEvidenceVersion) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    if (prepare_schema(db)) {
      impl_->version = kEvidenceVersion;
      impl_->seals.make(db);
      if (before > 0) take_over(before);
      impl_->seals.save(db);
    }
    db.exec("COMMIT");
  } catch (...) {
    db.exec_quietly("ROLLBACK");
    throw;
  }
}

// A store that was made before there was evidence: it holds from here on.
void Store::take_over(int64_t version) {
  impl_->in_transaction = true;
  set_meta(kMadeBefore, str(version));
  for (const Manifest& manifest : manifests()) append_link(manifest);
  // Until then a report said that a run is done.
  if (std::filesystem::exists(folder_ + "/report.json")) set_meta(kDone, "1");
  impl_->in_transaction = false;
}

// How often the tables were changed and which versions of SQLite wrote the
// file stands in its header, too, where no seal is.
void Store::keep_header() {
  std::string versions = meta(kSqlite).value_or("");
  const std::string own = str(sqlite3_libversion_number());
  if (versions.find(own) == std::string::npos) {
    set_meta(kSqlite, versions + (versions.empty() ? "" : " ") + own);
  }
  const std::string changes = str(impl_->db.query_int("PRAGMA schema_version"));
  if (!meta(kSchemaChanges)) set_meta(kSchemaChanges, changes);
}

bool Store::is_made(const std::string& folder) {
  const std::string path = folder + "/run.db";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return false;
  if (is_being_made(path)) return false;
  Database db(path, false);
  return !is_blank(db);
}

std::optional<std::string> Store::writer_of(const std::string& folder) {
  return lock_holder(folder + "/run.lock");
}

void Store::transaction(const std::function<void()>& fn) {
  SELFALIGN_CHECK(!impl_->in_transaction, "transactions do not nest");
  const int64_t num_changes = impl_->db.num_changes();
  impl_->db.exec("BEGIN IMMEDIATE");
  impl_->in_transaction = true;
  try {
    fn();
    if (impl_->seals.save(impl_->db)) impl_->sign();
    impl_->db.exec("COMMIT");
  } catch (...) {
    impl_->in_transaction = false;
    impl_->db.exec_quietly("ROLLBACK");
    impl_->seals.roll_back();
    throw;
  }
  impl_->in_transaction = false;
  impl_->seals.commit();
  if (impl_->commit_hook && impl_->db.num_changes() != num_changes) {
    impl_->commit_hook();
  }
}

void Store::snapshot(const std::function<void()>& fn) const {
  impl_->db.exec("BEGIN");
  try {
    fn();
  } catch (...) {
    impl_->db.exec_quietly("ROLLBACK");
    throw;
  }
  impl_->db.exec("ROLLBACK");
}

void Store::write(const std::function<void()>& fn) {
  if (impl_->in_transaction) {
    fn();
  } else {
    transaction(fn);
  }
}

void Store::set_commit_hook(std::function<void()> hook) {
  impl_->commit_hook = std::move(hook);
}

void Store::add_rows(const std::vector<Row>& rows) {
  if (rows.empty()) return;
  write([&] {
    SealedWrite stage(impl_->db, impl_->seals, "stages",
                      "INSERT INTO stages SELECT ?, COUNT(*) FROM stages "
                      "WHERE true ON CONFLICT DO NOTHING RETURNING *");
    SealedWrite insert(impl_->db, impl_->seals, "rows",
                       "INSERT INTO rows VALUES (?, ?, ?, ?) "
                       "ON CONFLICT DO NOTHING RETURNING *");
    SealedWrite parent(impl_->db, impl_->seals, "parents",
                       "INSERT INTO parents VALUES (?, ?, ?) RETURNING *");
    std::string last_stage;
    for (const Row& row : rows) {
      if (row.stage != last_stage) {
        stage.write().bind(row.stage);
        stage.run();
      }
      last_stage = row.stage;
      insert.write().bind_key(row.key).bind(row.stage).bind(row.seq).bind(
          dump_json(row.content));
      if (!insert.run()) {
        impl_->check_same(row);
        continue;
      }
      for (size_t i = 0; i < row.parents.size(); ++i) {
        parent.write()
            .bind_key(row.key)
            .bind(static_cast<int64_t>(i))
            .bind_key(row.parents[i]);
        parent.run();
      }
      if (impl_->review_source == nullptr) continue;
      if (const auto known = impl_->review_source->review(row.key)) {
        add_review(*known);
      }
    }
  });
}

std::vector<Row> Store::rows(const std::string& stage) const {
  Statement query(impl_->db,
                  "SELECT key, stage, seq, content FROM rows "
                  "WHERE stage = ? ORDER BY seq");
  query.bind(stage);
  return impl_->read_rows(query);
}

int64_t Store::num_rows(const std::string& stage) const {
  Statement query(impl_->db, "SELECT COUNT(*) FROM rows WHERE stage = ?");
  query.bind(stage).step();
  return query.get_int(0);
}

std::optional<Row> Store::row(uint64_t key) const {
  return impl_->find_row(key);
}

std::vector<Row> Store::children(uint64_t key) const {
  Statement query(
      impl_->db,
      "SELECT DISTINCT r.key, r.stage, r.seq, r.content, s.position "
      "FROM parents p JOIN rows r ON r.key = p.key "
      "JOIN stages s ON s.name = r.stage WHERE p.parent = ? "
      "ORDER BY s.position, r.seq");
  query.bind_key(key);
  return impl_->read_rows(query);
}

std::vector<std::string> Store::stages() const {
  Statement query(impl_->db, "SELECT name FROM stages ORDER BY position");
  std::vector<std::string> names;
  while (query.step()) names.push_back(query.get_text(0));
  return names;
}

void Store::add_completion(const StoredCompletion& stored) {
  const generate::Completion& c = stored.completion;
  write([&] {
    SealedWrite insert(impl_->db, impl_->seals, "completions",
                       "INSERT INTO completions VALUES "
                       "(?, ?, ?, ?, ?, ?, ?, ?, ?) "
                       "ON CONFLICT DO NOTHING RETURNING *");
    insert.write()
        .bind_key(c.key)
        .bind(c.text)
        .bind(stored.thought)
        .bind(generate::finish_name(c.finish))
        .bind(int64_t{c.num_tokens})
        .bind(int64_t{c.num_prompt_tokens})
        .bind(c.logprob)
        .bind(stored.fingerprint)
        .bind(stored.time_s);
    if (insert.run()) return;
    const std::optional<StoredCompletion> old = completion(c.key);
    if (!old || old->completion.text != c.text ||
        old->completion.finish != c.finish) {
      damaged(impl_->db, str("another completion of row ", key_to_hex(c.key)));
    }
  });
}

std::optional<StoredCompletion> Store::completion(uint64_t key) const {
  Statement query(impl_->db,
                  "SELECT text, thought, finish, num_tokens, "
                  "num_prompt_tokens, logprob, fingerprint, time_s "
                  "FROM completions WHERE key = ?");
  if (!query.bind_key(key).step()) return std::nullopt;
  return impl_->read_completion(query, key, 0);
}

int64_t Store::num_completions(const std::string& stage) const {
  Statement query(impl_->db,
                  "SELECT COUNT(*) FROM rows r JOIN completions c "
                  "ON c.key = r.key WHERE r.stage = ?");
  query.bind(stage).step();
  return query.get_int(0);
}

std::vector<Row> Store::pending(const std::string& stage) const {
  Statement query(impl_->db,
                  "SELECT r.key, r.stage, r.seq, r.content FROM rows r "
                  "LEFT JOIN completions c ON c.key = r.key "
                  "WHERE r.stage = ? AND c.key IS NULL ORDER BY r.seq");
  query.bind(stage);
  return impl_->read_rows(query);
}

void Store::set_verdicts(const std::vector<Verdict>& verdicts) {
  if (verdicts.empty()) return;
  write([&] {
    SealedWrite upsert(impl_->db, impl_->seals, "verdicts",
                       "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?) "
                       "ON CONFLICT (key, filter) DO UPDATE SET "
                       "kept = excluded.kept, reason = excluded.reason, "
                       "detail = excluded.detail "
                       "WHERE kept <> excluded.kept OR "
                       "reason <> excluded.reason OR "
                       "detail <> excluded.detail RETURNING *",
                       "SELECT * FROM verdicts WHERE key = ? AND filter = ?");
    for (const Verdict& verdict : verdicts) {
      upsert.find().bind_key(verdict.key).bind(verdict.filter);
      upsert.write()
          .bind_key(verdict.key)
          .bind(verdict.filter)
          .bind(int64_t{verdict.kept})
          .bind(verdict.reason)
          .bind(verdict.detail);
      upsert.run();
    }
  });
}

std::vector<Verdict> Store::verdicts(uint64_t key) const {
  Statement query(impl_->db,
                  "SELECT filter, kept, reason, detail FROM verdicts "
                  "WHERE key = ? ORDER BY filter");
  query.bind_key(key);
  std::vector<Verdict> verdicts;
  while (query.step()) {
    verdicts.push_back({key, query.get_text(0), query.get_int(1) != 0,
                        query.get_text(2), query.get_text(3)});
  }
  return verdicts;
}

std::vector<Row> Store::kept(const std::string& stage,
                             const std::string& filter) const {
  Statement query(impl_->db,
                  "SELECT r.key, r.stage, r.seq, r.content FROM rows r "
                  "JOIN verdicts v ON v.key = r.key WHERE r.stage = ? "
                  "AND v.filter = ? AND v.kept = 1 ORDER BY r.seq");
  query.bind(stage).bind(filter);
  return impl_->read_rows(query);
}

std::vector<std::pair<std::string, int64_t>> Store::rejections(
    const std::string& stage, const std::string& filter) const {
  Statement query(impl_->db,
                  "SELECT v.reason, COUNT(*) AS n FROM rows r "
                  "JOIN verdicts v ON v.key = r.key WHERE r.stage = ? "
                  "AND v.filter = ? AND v.kept = 0 "
                  "GROUP BY v.reason ORDER BY n DESC, v.reason");
  query.bind(stage).bind(filter);
  std::vector<std::pair<std::string, int64_t>> reasons;
  while (query.step()) {
    reasons.emplace_back(query.get_text(0), query.get_int(1));
  }
  return reasons;
}

}  // namespace selfalign::store
