// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <sqlite3.h>

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/profile.h"
#include "base/sha256.h"
#include "store/checks.h"
#include "store/signing.h"
#include "store/tables.h"

namespace selfalign::store {
namespace {

void check_same(const Reader& run, const Row& row) {
  const std::optional<Row> old = run.row(row.key);
  if (!old || old->stage != row.stage || old->seq != row.seq ||
      old->parents != row.parents ||
      dump_json(old->content) != dump_json(row.content)) {
    damaged(run.tables().db, str("another row in the place of ", row.stage, " ",
                                 row.seq, " (", key_to_hex(row.key), ")"));
  }
}

}  // namespace

Store::Store(std::string folder, std::unique_ptr<Tables> tables)
    : Reader(std::move(folder), std::move(tables)) {}

Store::~Store() = default;

std::unique_ptr<Store> Store::open(const std::string& folder) {
  const std::string path = folder + "/run.db";
  try {
    make_private_folder(folder);
    make_file(path);  // SQLite would let others read it
  } catch (const Error& error) {
    throw Error(ErrorKind::kResources, error.what());
  }
  auto lock = std::make_unique<WriterLock>(folder + "/run.lock");
  remove_stale_temporaries(folder);
  std::unique_ptr<Store> store(
      new Store(folder, std::make_unique<Tables>(path, std::move(lock))));
  store->prepare();
  store->check(true);
  store->seals_.load(store->tables().db);
  store->keep_header();
  return store;
}

// Tables where they are absent or of an earlier version, with the evidence of
// what is there: all in one transaction.
void Store::prepare() {
  Database& db = tables().db;
  // At most 256 MB for pages, in place of SQLite's 2: rows come in the order of
  // their keys, which are hashes, so large runs would read pages again and
  // again.
  db.exec(
      "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
      "PRAGMA foreign_keys=ON;PRAGMA cache_size=-262144;");
  const int64_t before = schema_version(db);
  if (before >= kEvidenceVersion) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    if (prepare_schema(db)) {
      tables().version = kEvidenceVersion;
      seals_.make(db);
      if (before > 0) take_over(before);
      seals_.save(db);
    }
    db.exec("COMMIT");
  } catch (...) {
    db.exec_quietly("ROLLBACK");
    throw;
  }
}

// A store that was made before there was evidence: it holds from here on.
void Store::take_over(int64_t version) {
  in_transaction_ = true;
  set_meta(kMadeBefore, str(version));
  for (const Manifest& manifest : manifests()) append_link(manifest);
  // Until then a report said that a run is done.
  if (std::filesystem::exists(folder() + "/report.json")) set_meta(kDone, "1");
  in_transaction_ = false;
}

// How often the tables were changed and which versions of SQLite wrote the
// file stands in its header, too, where no seal is.
void Store::keep_header() {
  std::string versions = meta(kSqlite).value_or("");
  const std::string own = str(sqlite3_libversion_number());
  if (versions.find(own) == std::string::npos) {
    set_meta(kSqlite, versions + (versions.empty() ? "" : " ") + own);
  }
  const std::string changes =
      str(tables().db.query_int("PRAGMA schema_version"));
  if (!meta(kSchemaChanges)) set_meta(kSchemaChanges, changes);
}

void Store::transaction(const std::function<void()>& fn) {
  SELFALIGN_CHECK(!in_transaction_, "transactions do not nest");
  const ProfilePart part("store");
  const int64_t num_changes = tables().db.num_changes();
  tables().db.exec("BEGIN IMMEDIATE");
  in_transaction_ = true;
  try {
    fn();
    if (seals_.save(tables().db)) sign();
    tables().db.exec("COMMIT");
  } catch (...) {
    in_transaction_ = false;
    tables().db.exec_quietly("ROLLBACK");
    seals_.roll_back();
    throw;
  }
  in_transaction_ = false;
  seals_.commit();
  if (commit_hook_ && tables().db.num_changes() != num_changes) {
    commit_hook_();
  }
}

void Store::write(const std::function<void()>& fn) {
  if (in_transaction_) {
    fn();
  } else {
    transaction(fn);
  }
}

// The signature of the seals as they are; Error kUsage where the run is signed,
// as meta says, and there is no key.
void Store::sign() const {
  if (!signing_key_) {
    Statement signer(tables().db, "SELECT 1 FROM meta WHERE name = ?");
    if (!signer.bind(kSigner).step()) return;
    throw Error(ErrorKind::kUsage,
                str(tables().db.path(),
                    ": this run is signed; give the key that signed it "
                    "(--sign-key), for without it nothing is written there"));
  }
  Statement upsert(tables().db,
                   "INSERT INTO signatures VALUES (?, ?) "
                   "ON CONFLICT (public_key) DO UPDATE SET "
                   "signature = excluded.signature");
  upsert.bind(signing_key_->public_key())
      .bind(signing_key_->sign(seals_.message()))
      .run();
}

void Store::set_signing_key(std::shared_ptr<const SigningKey> key) {
  const Evidence now = evidence_of(*this);
  const std::string own = key->public_key();
  if (now.signed_by && *now.signed_by != own) {
    throw Error(ErrorKind::kUsage,
                str(folder(), ": expected the key that signed this run, ",
                    *now.signed_by, ", found ", own,
                    "; use that one, or sign a copy of the run made by: "
                    "selfalign resume ",
                    folder(), " --fork NEW --sign-key KEY"));
  }
  if (now.signed_by && !now.signature_right) {
    damaged(tables().db,
            str("something else than was signed by ", *now.signed_by));
  }
  require_sealed(*this);
  signing_key_ = std::move(key);
  // That it is signed is sealed, too, in the transaction that signs it.
  if (!now.signed_by) set_meta(kSigner, own);
}

void Store::set_commit_hook(std::function<void()> hook) {
  commit_hook_ = std::move(hook);
}

void Store::add_rows(const std::vector<Row>& rows) {
  if (rows.empty()) return;
  write([&] {
    SealedWrite stage(tables().db, seals_, "stages",
                      "INSERT INTO stages SELECT ?, COUNT(*) FROM stages "
                      "WHERE true ON CONFLICT DO NOTHING RETURNING *");
    SealedWrite insert(tables().db, seals_, "rows",
                       "INSERT INTO rows VALUES (?, ?, ?, ?) "
                       "ON CONFLICT DO NOTHING RETURNING *");
    SealedWrite parent(tables().db, seals_, "parents",
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
        check_same(*this, row);
        continue;
      }
      for (size_t i = 0; i < row.parents.size(); ++i) {
        parent.write()
            .bind_key(row.key)
            .bind(static_cast<int64_t>(i))
            .bind_key(row.parents[i]);
        parent.run();
      }
      if (review_source_ == nullptr) continue;
      if (const auto known = review_source_->review(row.key)) {
        add_review(*known);
      }
    }
  });
}

void Store::add_completion(const StoredCompletion& stored) {
  const generate::Completion& c = stored.completion;
  write([&] {
    SealedWrite insert(tables().db, seals_, "completions",
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
      damaged(tables().db,
              str("another completion of row ", key_to_hex(c.key)));
    }
  });
}

void Store::set_verdicts(const std::vector<Verdict>& verdicts) {
  if (verdicts.empty()) return;
  write([&] {
    SealedWrite upsert(tables().db, seals_, "verdicts",
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

void Store::set_annotation_source(const Reader* from) { review_source_ = from; }

void Store::add_review(const Review& review) {
  write([&] {
    SealedWrite upsert(
        tables().db, seals_, "annotations",
        "INSERT INTO annotations VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET "
        "author = excluded.author, decision = excluded.decision, "
        "text = excluded.text, note = excluded.note, "
        "time_s = excluded.time_s RETURNING *",
        "SELECT * FROM annotations WHERE key = ?");
    upsert.find().bind_key(review.key);
    upsert.write()
        .bind_key(review.key)
        .bind(review.author)
        .bind(decision_name(review.decision))
        .bind(review.text)
        .bind(review.note)
        .bind(review.time_s);
    upsert.run();
  });
}

void Store::commit_manifest(const Manifest& manifest,
                            const std::vector<std::string>& files) {
  if (const auto old = this->manifest(manifest.stage)) {
    if (old->digest != manifest.digest || old->num_rows != manifest.num_rows) {
      damaged(tables().db, str("another manifest of ", manifest.stage));
    }
    return;
  }
  // Full synchronisation makes this commit, and with it all before it in the
  // log, durable against loss of power.
  tables().db.exec("PRAGMA synchronous=FULL");
  transaction([&] {
    keep_files(files);
    SealedWrite insert(tables().db, seals_, "manifests",
                       "INSERT INTO manifests SELECT ?, COUNT(*), ?, ?, ?, ? "
                       "FROM manifests RETURNING *");
    insert.write()
        .bind(manifest.stage)
        .bind(manifest.num_rows)
        .bind(manifest.num_kept)
        .bind(manifest.digest)
        .bind(dump_json(manifest.report));
    insert.run();
    append_link(manifest);
  });
  tables().db.exec("PRAGMA synchronous=NORMAL");
}

void Store::append_link(const Manifest& manifest) {
  const std::string content = content_of(
      tables().db, manifest.stage, filter_of(manifest), manifest.num_rows);
  Statement own(tables().db, "SELECT * FROM manifests WHERE stage = ?");
  if (!own.bind(manifest.stage).step()) {
    damaged(tables().db, "no manifest of " + manifest.stage);
  }
  SealedWrite insert(tables().db, seals_, "chain",
                     "INSERT INTO chain VALUES (?, ?, ?) RETURNING *");
  insert.write()
      .bind(manifest.stage)
      .bind(content)
      .bind(link_of(evidence_of(*this).chain, own.entry(), content));
  insert.run();
}

void Store::set_meta(const std::string& name, const std::string& value) {
  write([&] {
    SealedWrite upsert(tables().db, seals_, "meta",
                       "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) "
                       "DO UPDATE SET value = excluded.value RETURNING *",
                       "SELECT * FROM meta WHERE name = ?");
    upsert.find().bind(name);
    upsert.write().bind(name).bind(value);
    upsert.run();
  });
}

void Store::keep_files(const std::vector<std::string>& paths) {
  write([&] {
    SealedWrite upsert(tables().db, seals_, "files",
                       "INSERT INTO files VALUES (?, ?) ON CONFLICT (path) "
                       "DO UPDATE SET sha256 = excluded.sha256 RETURNING *",
                       "SELECT * FROM files WHERE path = ?");
    for (const std::string& path : paths) {
      upsert.find().bind(path);
      upsert.write().bind(path).bind(sha256_file(str(folder(), "/", path)));
      upsert.run();
    }
  });
}

}  // namespace selfalign::store
