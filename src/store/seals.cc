// SPDX-License-Identifier: Apache-2.0
#include "store/seals.h"

#include <iterator>

#include "base/error.h"
#include "base/sha256.h"
#include "store/schema.h"

namespace selfalign::store {
namespace {

SetDigest digest_of(const Database& db, const std::string& table) {
  Statement query(db, ("SELECT * FROM " + table).c_str());
  SetDigest digest;
  while (query.step()) digest.add(query.entry());
  return digest;
}

// With its length before it, so that no two lists of parts look alike.
void add_part(Sha256& hash, std::string_view part) {
  hash.add(str(part.size(), ":")).add(part);
}

}  // namespace

void Seals::make(const Database& db) {
  Statement insert(db, "INSERT INTO seals VALUES (?, ?)");
  for (const char* table : kSealedTables) {
    digests_[table] = digest_of(db, table);
    insert.bind(std::string_view(table))
        .bind_blob(digests_[table].bytes())
        .run();
  }
  saved_ = digests_;
}

void Seals::load(const Database& db) {
  digests_.clear();
  Statement query(db, "SELECT name, digest FROM seals ORDER BY name");
  while (query.step()) {
    if (!digests_[query.get_text(0)].set_bytes(query.get_blob(1))) {
      damaged(db, "a seal that is none");
    }
  }
  for (const char* table : kSealedTables) {
    if (!digests_.contains(table)) damaged(db, str("no seal of ", table));
  }
  if (digests_.size() != std::size(kSealedTables)) {
    damaged(db, "a seal of no table");
  }
  saved_ = digests_;
}

bool Seals::save(const Database& db) {
  if (digests_ == saved_) return false;
  Statement update(db, "UPDATE seals SET digest = ? WHERE name = ?");
  for (const auto& [table, digest] : digests_) {
    if (digest == saved_[table]) continue;
    update.bind_blob(digest.bytes()).bind(table).run();
  }
  return true;
}

void Seals::add(std::string_view table, std::string_view entry) {
  digests_.find(table)->second.add(entry);
}

void Seals::remove(std::string_view table, std::string_view entry) {
  digests_.find(table)->second.remove(entry);
}

std::string Seals::message() const {
  Sha256 hash;
  for (const auto& [table, digest] : digests_) {
    add_part(hash, table);
    add_part(hash, digest.bytes());
  }
  return "selfalign run 1\n" + hash.hex();
}

std::vector<std::string> Seals::broken(const Database& db) const {
  std::vector<std::string> tables;
  for (const auto& [table, digest] : digests_) {
    if (!(digest_of(db, table) == digest)) tables.push_back(table);
  }
  return tables;
}

SealedWrite::SealedWrite(const Database& db, Seals& seals, const char* table,
                         const char* write, const char* find)
    : seals_(seals), table_(table), write_(db, write) {
  if (find != nullptr) find_.emplace(db, find);
}

bool SealedWrite::run() {
  std::optional<std::string> old;
  if (find_) {
    if (find_->step()) old = find_->entry();
    find_->run();
  }
  const bool written = write_.step();
  if (written) {
    seals_.add(table_, write_.entry());
    if (old) seals_.remove(table_, *old);
  }
  write_.run();
  return written;
}

std::string content_of(const Database& db, const std::string& stage,
                       const std::string& filter, int64_t num_rows) {
  Sha256 hash;
  const auto add = [&](const char* table, const std::string& rest) {
    Statement query(
        db, str("SELECT t.* FROM rows r JOIN ", table,
                " t ON t.key = r.key WHERE r.stage = ? AND r.seq < ? ", rest)
                .c_str());
    query.bind(stage).bind(num_rows);
    if (rest.starts_with("AND")) query.bind(filter);
    add_part(hash, table);
    while (query.step()) add_part(hash, query.entry());
  };
  add("rows", "ORDER BY r.seq");
  add("parents", "ORDER BY r.seq, t.position");
  add("completions", "ORDER BY r.seq");
  add("verdicts", "AND t.filter = ? ORDER BY r.seq");
  return hash.hex();
}

std::string link_of(const std::string& before, const std::string& manifest,
                    const std::string& content) {
  Sha256 hash;
  for (std::string_view part :
       {std::string_view("selfalign chain 1"), std::string_view(before),
        std::string_view(manifest), std::string_view(content)}) {
    add_part(hash, part);
  }
  return hash.hex();
}

}  // namespace selfalign::store
