// SPDX-License-Identifier: Apache-2.0
#include "store/reader.h"

#include <filesystem>
#include <mutex>

#include "base/error.h"
#include "base/hash.h"
#include "store/side_files.h"
#include "store/signature.h"
#include "store/tables.h"

namespace selfalign::store {
namespace {

std::mutex opened_mutex;

std::set<std::string>& opened() {
  static std::set<std::string> folders;
  return folders;
}

constexpr Decision kDecisions[] = {Decision::kKeep, Decision::kDrop,
                                   Decision::kEdit};

Decision stored_decision(const Database& db, const std::string& name) {
  for (const Decision decision : kDecisions) {
    if (name == decision_name(decision)) return decision;
  }
  damaged(db, str("the decision \"", name, "\""));
}

std::vector<Review> read_reviews(const Database& db, Statement& query) {
  std::vector<Review> annotations;
  while (query.step()) {
    annotations.push_back({query.get_key(0), query.get_text(1),
                           stored_decision(db, query.get_text(2)),
                           query.get_text(3), query.get_text(4),
                           query.get_double(5)});
  }
  return annotations;
}

std::optional<Row> only_row(std::vector<Row> rows) {
  if (rows.empty()) return std::nullopt;
  return std::move(rows[0]);
}

}  // namespace

const char* decision_name(Decision decision) {
  switch (decision) {
    case Decision::kKeep:
      return "keep";
    case Decision::kDrop:
      return "drop";
    case Decision::kEdit:
      return "edit";
  }
  return "";
}

std::string filter_of(const Manifest& manifest) {
  const auto filter = manifest.report.find("filter");
  if (filter == manifest.report.end() || !filter->is_string()) return "";
  return filter->get<std::string>();
}

std::set<std::string> opened_folders() {
  const std::lock_guard lock(opened_mutex);
  return opened();
}

Reader::Reader(std::string folder, std::unique_ptr<Tables> tables)
    : folder_(std::move(folder)), tables_(std::move(tables)) {}

Reader::~Reader() = default;

std::unique_ptr<Reader> Reader::open(const std::string& folder) {
  const std::string path = folder + "/run.db";
  if (std::error_code ignored;
      !std::filesystem::exists(path, ignored) || is_being_made(path)) {
    throw Error(ErrorKind::kInput,
                str(folder,
                    ": this is no run folder, for it has no run.db; start one "
                    "with: selfalign run RECIPE"));
  }
  std::unique_ptr<Reader> reader(
      new Reader(folder, std::make_unique<Tables>(path, nullptr)));
  reader->check(false);
  return reader;
}

void Reader::check(bool thorough) const {
  check_schema(tables_->db, thorough);
  tables_->version = schema_version(tables_->db);
  if (tables_->has_evidence()) read_signature(tables_->db);
  const std::lock_guard lock(opened_mutex);
  opened().insert(folder_);
}

bool Reader::is_made(const std::string& folder) {
  const std::string path = folder + "/run.db";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return false;
  if (is_being_made(path)) return false;
  Database db(path, false);
  return !is_blank(db);
}

std::optional<std::string> Reader::writer_of(const std::string& folder) {
  return lock_holder(folder + "/run.lock");
}

void Reader::snapshot(const std::function<void()>& fn) const {
  tables_->db.exec("BEGIN");
  try {
    fn();
  } catch (...) {
    tables_->db.exec_quietly("ROLLBACK");
    throw;
  }
  tables_->db.exec("ROLLBACK");
}

std::vector<Row> Reader::rows(const std::string& stage) const {
  Statement query(tables_->db,
                  "SELECT key, stage, seq, content FROM rows "
                  "WHERE stage = ? ORDER BY seq");
  query.bind(stage);
  return tables_->read_rows(query);
}

int64_t Reader::num_rows(const std::string& stage) const {
  Statement query(tables_->db, "SELECT COUNT(*) FROM rows WHERE stage = ?");
  query.bind(stage).step();
  return query.get_int(0);
}

std::optional<Row> Reader::row(uint64_t key) const {
  Statement query(tables_->db,
                  "SELECT key, stage, seq, content FROM rows WHERE key = ?");
  query.bind_key(key);
  return only_row(tables_->read_rows(query));
}

std::optional<Row> Reader::row(const std::string& stage, int64_t seq) const {
  Statement query(tables_->db,
                  "SELECT key, stage, seq, content FROM rows "
                  "WHERE stage = ? AND seq = ?");
  query.bind(stage).bind(seq);
  return only_row(tables_->read_rows(query));
}

std::vector<Row> Reader::children(uint64_t key) const {
  Statement query(
      tables_->db,
      "SELECT DISTINCT r.key, r.stage, r.seq, r.content, s.position "
      "FROM parents p JOIN rows r ON r.key = p.key "
      "JOIN stages s ON s.name = r.stage WHERE p.parent = ? "
      "ORDER BY s.position, r.seq");
  query.bind_key(key);
  return tables_->read_rows(query);
}

std::vector<std::string> Reader::stages() const {
  Statement query(tables_->db, "SELECT name FROM stages ORDER BY position");
  std::vector<std::string> names;
  while (query.step()) names.push_back(query.get_text(0));
  return names;
}

std::optional<StoredCompletion> Reader::completion(uint64_t key) const {
  Statement query(tables_->db,
                  "SELECT text, thought, finish, num_tokens, "
                  "num_prompt_tokens, logprob, fingerprint, time_s "
                  "FROM completions WHERE key = ?");
  if (!query.bind_key(key).step()) return std::nullopt;
  return tables_->read_completion(query, key, 0);
}

int64_t Reader::num_completions(const std::string& stage) const {
  Statement query(tables_->db,
                  "SELECT COUNT(*) FROM rows r JOIN completions c "
                  "ON c.key = r.key WHERE r.stage = ?");
  query.bind(stage).step();
  return query.get_int(0);
}

Activity Reader::activity(const std::string& stage) const {
  Statement query(tables_->db,
                  "SELECT COUNT(*), COALESCE(SUM(c.num_tokens), 0), "
                  "COALESCE(MAX(c.time_s), 0.0) "
                  "FROM rows r JOIN completions c ON c.key = r.key "
                  "WHERE r.stage = ?");
  query.bind(stage).step();
  return {query.get_int(0), query.get_int(1), query.get_double(2)};
}

std::vector<Row> Reader::pending(const std::string& stage) const {
  Statement query(tables_->db,
                  "SELECT r.key, r.stage, r.seq, r.content FROM rows r "
                  "LEFT JOIN completions c ON c.key = r.key "
                  "WHERE r.stage = ? AND c.key IS NULL ORDER BY r.seq");
  query.bind(stage);
  return tables_->read_rows(query);
}

std::vector<Verdict> Reader::verdicts(uint64_t key) const {
  Statement query(tables_->db,
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

std::vector<Row> Reader::kept(const std::string& stage,
                              const std::string& filter) const {
  Statement query(tables_->db,
                  "SELECT r.key, r.stage, r.seq, r.content FROM rows r "
                  "JOIN verdicts v ON v.key = r.key WHERE r.stage = ? "
                  "AND v.filter = ? AND v.kept = 1 ORDER BY r.seq");
  query.bind(stage).bind(filter);
  return tables_->read_rows(query);
}

std::vector<std::string> Reader::filters(const std::string& stage) const {
  Statement query(tables_->db,
                  "SELECT DISTINCT v.filter FROM rows r JOIN verdicts v "
                  "ON v.key = r.key WHERE r.stage = ? ORDER BY v.filter");
  query.bind(stage);
  std::vector<std::string> names;
  while (query.step()) names.push_back(query.get_text(0));
  return names;
}

std::string Reader::main_filter(const std::string& stage) const {
  Statement query(tables_->db,
                  "SELECT v.filter FROM rows r JOIN verdicts v "
                  "ON v.key = r.key WHERE r.stage = ? GROUP BY v.filter "
                  "ORDER BY COUNT(*) DESC, v.filter LIMIT 1");
  return query.bind(stage).step() ? query.get_text(0) : "";
}

std::vector<std::pair<std::string, int64_t>> Reader::rejections(
    const std::string& stage, const std::string& filter) const {
  Statement query(tables_->db,
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

void Reader::scan(const std::string& stage, const std::string& filter,
                  const std::function<bool(const SeenRow&)>& visit) const {
  Statement query(
      tables_->db,
      "SELECT r.key, r.seq, r.content, c.key IS NOT NULL, c.text, c.thought, "
      "c.finish, c.num_tokens, c.num_prompt_tokens, c.logprob, c.fingerprint, "
      "c.time_s, v.key IS NOT NULL, v.kept, v.reason, v.detail FROM rows r "
      "LEFT JOIN completions c ON c.key = r.key "
      "LEFT JOIN verdicts v ON v.key = r.key AND v.filter = ? "
      "WHERE r.stage = ? ORDER BY r.seq");
  query.bind(filter).bind(stage);
  while (query.step()) {
    SeenRow seen;
    seen.row.key = query.get_key(0);
    seen.row.stage = stage;
    seen.row.seq = query.get_int(1);
    seen.row.content = stored_json(tables_->db, query.get_text(2));
    if (query.get_int(3)) {
      seen.completion = tables_->read_completion(query, seen.row.key, 4);
    }
    if (query.get_int(12)) {
      seen.verdict = Verdict{seen.row.key, filter, query.get_int(13) != 0,
                             query.get_text(14), query.get_text(15)};
    }
    if (!visit(seen)) return;
  }
}

Account Reader::account(const std::string& stage, const std::string& filter,
                        int64_t num_rows) const {
  Account account;
  Statement rows(tables_->db,
                 "SELECT COUNT(*), COUNT(c.key), COUNT(v.key), "
                 "COALESCE(SUM(v.kept), 0) FROM rows r "
                 "LEFT JOIN completions c ON c.key = r.key "
                 "LEFT JOIN verdicts v ON v.key = r.key AND v.filter = ? "
                 "WHERE r.stage = ? AND r.seq < ?");
  rows.bind(filter).bind(stage).bind(num_rows).step();
  account.num_rows = rows.get_int(0);
  account.num_completed = rows.get_int(1);
  if (filter.empty()) {
    account.num_kept =
        account.num_completed > 0 ? account.num_completed : account.num_rows;
  } else {
    account.num_kept = rows.get_int(3);
  }
  Statement reasons(tables_->db,
                    "SELECT v.reason, COUNT(*) AS n FROM rows r "
                    "JOIN verdicts v ON v.key = r.key AND v.filter = ? "
                    "WHERE r.stage = ? AND r.seq < ? AND v.kept = 0 "
                    "GROUP BY v.reason ORDER BY n DESC, v.reason");
  reasons.bind(filter).bind(stage).bind(num_rows);
  int64_t num_judged = account.num_kept;
  while (reasons.step()) {
    account.rejected.emplace_back(reasons.get_text(0), reasons.get_int(1));
    num_judged += reasons.get_int(1);
  }
  account.num_pending = account.num_rows - num_judged;
  return account;
}

std::optional<Review> Reader::review(uint64_t key) const {
  if (!tables_->has_annotations()) return std::nullopt;
  Statement query(tables_->db,
                  "SELECT key, author, decision, text, note, time_s "
                  "FROM annotations WHERE key = ?");
  query.bind_key(key);
  std::vector<Review> found = read_reviews(tables_->db, query);
  if (found.empty()) return std::nullopt;
  return std::move(found[0]);
}

std::vector<Review> Reader::reviews(const std::string& stage) const {
  if (!tables_->has_annotations()) return {};
  Statement query(tables_->db,
                  "SELECT a.key, a.author, a.decision, a.text, a.note, "
                  "a.time_s FROM annotations a JOIN rows r ON r.key = a.key "
                  "WHERE r.stage = ? ORDER BY r.seq");
  query.bind(stage);
  return read_reviews(tables_->db, query);
}

std::string Reader::digest(const std::string& stage, const std::string& filter,
                           int64_t num_rows) const {
  Statement query(
      tables_->db,
      "SELECT r.key, r.seq, r.content, c.key IS NOT NULL, c.text, c.finish, "
      "v.key IS NOT NULL, v.kept, v.reason FROM rows r "
      "LEFT JOIN completions c ON c.key = r.key "
      "LEFT JOIN verdicts v ON v.key = r.key AND v.filter = ? "
      "WHERE r.stage = ? AND r.seq < ? ORDER BY r.seq");
  Statement parents(
      tables_->db,
      "SELECT parent FROM parents WHERE key = ? ORDER BY position");
  query.bind(filter).bind(stage).bind(num_rows);
  Hasher hasher;
  hasher.add(stage).add(filter);
  int64_t seq = 0;
  for (; query.step(); ++seq) {
    if (query.get_int(1) != seq) break;
    const uint64_t key = query.get_key(0);
    hasher.add(key).add(query.get_text(2));
    parents.bind_key(key);
    while (parents.step()) hasher.add(parents.get_key(0));
    parents.run();
    hasher.add(uint64_t(query.get_int(3) * 2 + query.get_int(6)));
    if (query.get_int(3)) hasher.add(query.get_text(4)).add(query.get_text(5));
    if (query.get_int(6)) {
      hasher.add(query.get_key(7)).add(query.get_text(8));
    }
  }
  if (seq != num_rows) {
    damaged(tables_->db, str(seq, " of ", num_rows, " rows of ", stage));
  }
  return hasher.digest();
}

std::optional<Manifest> Reader::manifest(const std::string& stage) const {
  for (Manifest& manifest : manifests()) {
    if (manifest.stage == stage) return std::move(manifest);
  }
  return std::nullopt;
}

std::vector<Manifest> Reader::manifests() const {
  Statement query(tables_->db,
                  "SELECT stage, num_rows, num_kept, digest, report "
                  "FROM manifests ORDER BY position");
  std::vector<Manifest> manifests;
  while (query.step()) {
    manifests.push_back({query.get_text(0), query.get_count(1),
                         query.get_count(2), query.get_text(3),
                         stored_json(tables_->db, query.get_text(4))});
  }
  return manifests;
}

std::string Reader::run_digest() const {
  Hasher hasher;
  for (const Manifest& manifest : manifests()) {
    hasher.add(manifest.stage)
        .add(static_cast<uint64_t>(manifest.num_rows))
        .add(static_cast<uint64_t>(manifest.num_kept))
        .add(manifest.digest);
  }
  return hasher.digest();
}

std::optional<std::string> Reader::meta(const std::string& name) const {
  Statement query(tables_->db, "SELECT value FROM meta WHERE name = ?");
  if (!query.bind(name).step()) return std::nullopt;
  return query.get_text(0);
}

std::map<std::string, std::string> Reader::files() const {
  std::map<std::string, std::string> files;
  if (!tables_->has_evidence()) return files;
  Statement query(tables_->db, "SELECT path, sha256 FROM files");
  while (query.step()) files[query.get_text(0)] = query.get_text(1);
  return files;
}

}  // namespace selfalign::store
