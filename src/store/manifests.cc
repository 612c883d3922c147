// SPDX-License-Identifier: Apache-2.0
// Digests and manifests: what a finished stage promises.
#include "base/error.h"
#include "base/sha256.h"
#include "store/store_impl.h"

namespace selfalign::store {

std::string filter_of(const Manifest& manifest) {
  const auto filter = manifest.report.find("filter");
  if (filter == manifest.report.end() || !filter->is_string()) return "";
  return filter->get<std::string>();
}

std::string Store::digest(const std::string& stage, const std::string& filter,
                          int64_t num_rows) const {
  Statement query(
      impl_->db,
      "SELECT r.key, r.seq, r.content, c.key IS NOT NULL, c.text, c.finish, "
      "v.key IS NOT NULL, v.kept, v.reason FROM rows r "
      "LEFT JOIN completions c ON c.key = r.key "
      "LEFT JOIN verdicts v ON v.key = r.key AND v.filter = ? "
      "WHERE r.stage = ? AND r.seq < ? ORDER BY r.seq");
  Statement parents(
      impl_->db, "SELECT parent FROM parents WHERE key = ? ORDER BY position");
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
    damaged(impl_->db, str(seq, " of ", num_rows, " rows of ", stage));
  }
  return hasher.digest();
}

void Store::commit_manifest(const Manifest& manifest,
                            const std::vector<std::string>& files) {
  if (const auto old = this->manifest(manifest.stage)) {
    if (old->digest != manifest.digest || old->num_rows != manifest.num_rows) {
      damaged(impl_->db, str("another manifest of ", manifest.stage));
    }
    return;
  }
  // Full synchronisation makes this commit, and with it all before it in the
  // log, durable against loss of power.
  impl_->db.exec("PRAGMA synchronous=FULL");
  transaction([&] {
    keep_files(files);
    SealedWrite insert(impl_->db, impl_->seals, "manifests",
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
  impl_->db.exec("PRAGMA synchronous=NORMAL");
}

void Store::append_link(const Manifest& manifest) {
  const std::string content = content_of(
      impl_->db, manifest.stage, filter_of(manifest), manifest.num_rows);
  Statement own(impl_->db, "SELECT * FROM manifests WHERE stage = ?");
  if (!own.bind(manifest.stage).step()) {
    damaged(impl_->db, "no manifest of " + manifest.stage);
  }
  SealedWrite insert(impl_->db, impl_->seals, "chain",
                     "INSERT INTO chain VALUES (?, ?, ?) RETURNING *");
  insert.write()
      .bind(manifest.stage)
      .bind(content)
      .bind(link_of(evidence().chain, own.entry(), content));
  insert.run();
}

std::optional<Manifest> Store::manifest(const std::string& stage) const {
  for (Manifest& manifest : manifests()) {
    if (manifest.stage == stage) return std::move(manifest);
  }
  return std::nullopt;
}

std::vector<Manifest> Store::manifests() const {
  Statement query(impl_->db,
                  "SELECT stage, num_rows, num_kept, digest, report "
                  "FROM manifests ORDER BY position");
  std::vector<Manifest> manifests;
  while (query.step()) {
    manifests.push_back({query.get_text(0), query.get_count(1),
                         query.get_count(2), query.get_text(3),
                         stored_json(impl_->db, query.get_text(4))});
  }
  return manifests;
}

std::string Store::run_digest() const {
  Hasher hasher;
  for (const Manifest& manifest : manifests()) {
    hasher.add(manifest.stage)
        .add(static_cast<uint64_t>(manifest.num_rows))
        .add(static_cast<uint64_t>(manifest.num_kept))
        .add(manifest.digest);
  }
  return hasher.digest();
}

void Store::set_meta(const std::string& name, const std::string& value) {
  write([&] {
    SealedWrite upsert(impl_->db, impl_->seals, "meta",
                       "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) "
                       "DO UPDATE SET value = excluded.value RETURNING *",
                       "SELECT * FROM meta WHERE name = ?");
    upsert.find().bind(name);
    upsert.write().bind(name).bind(value);
    upsert.run();
  });
}

std::optional<std::string> Store::meta(const std::string& name) const {
  Statement query(impl_->db, "SELECT value FROM meta WHERE name = ?");
  if (!query.bind(name).step()) return std::nullopt;
  return query.get_text(0);
}

void Store::keep_files(const std::vector<std::string>& paths) {
  write([&] {
    SealedWrite upsert(impl_->db, impl_->seals, "files",
                       "INSERT INTO files VALUES (?, ?) ON CONFLICT (path) "
                       "DO UPDATE SET sha256 = excluded.sha256 RETURNING *",
                       "SELECT * FROM files WHERE path = ?");
    for (const std::string& path : paths) {
      upsert.find().bind(path);
      upsert.write().bind(path).bind(sha256_file(str(folder_, "/", path)));
      upsert.run();
    }
  });
}

std::map<std::string, std::string> Store::files() const {
  std::map<std::string, std::string> files;
  if (!impl_->has_evidence()) return files;
  Statement query(impl_->db, "SELECT path, sha256 FROM files");
  while (query.step()) files[query.get_text(0)] = query.get_text(1);
  return files;
}

}  // namespace selfalign::store
