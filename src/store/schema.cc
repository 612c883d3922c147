// SPDX-License-Identifier: Apache-2.0
#include "store/schema.h"

#include <map>

#include "base/error.h"

namespace selfalign::store {
namespace {

constexpr int kSchemaVersion = kEvidenceVersion;
constexpr int kApplicationId = 0x53414c4e;  // "SALN"

const char* const kSchema = R"sql(
CREATE TABLE stages (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL);
CREATE TABLE rows (
  key BIGINT PRIMARY KEY,
  stage TEXT NOT NULL REFERENCES stages (name),
  seq BIGINT NOT NULL,
  content TEXT NOT NULL,
  UNIQUE (stage, seq));
CREATE TABLE parents (
  key BIGINT NOT NULL REFERENCES rows (key),
  position INTEGER NOT NULL,
  parent BIGINT NOT NULL,
  PRIMARY KEY (key, position));
CREATE INDEX parents_by_parent ON parents (parent);
CREATE TABLE completions (
  key BIGINT PRIMARY KEY REFERENCES rows (key),
  text TEXT NOT NULL,
  thought TEXT NOT NULL,
  finish TEXT NOT NULL,
  num_tokens BIGINT NOT NULL,
  num_prompt_tokens BIGINT NOT NULL,
  logprob DOUBLE PRECISION NOT NULL,
  fingerprint TEXT NOT NULL,
  time_s DOUBLE PRECISION NOT NULL);
CREATE TABLE verdicts (
  key BIGINT NOT NULL REFERENCES rows (key),
  filter TEXT NOT NULL,
  kept INTEGER NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (key, filter));
CREATE TABLE manifests (
  stage TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  num_rows BIGINT NOT NULL,
  num_kept BIGINT NOT NULL,
  digest TEXT NOT NULL,
  report TEXT NOT NULL);
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL);
)sql";

// What version 2 adds.
const char* const kAnnotations = R"sql(
CREATE TABLE annotations (
  key BIGINT PRIMARY KEY REFERENCES rows (key),
  author TEXT NOT NULL,
  decision TEXT NOT NULL,
  text TEXT NOT NULL,
  note TEXT NOT NULL,
  time_s DOUBLE PRECISION NOT NULL);
)sql";

// What version 3 adds.
const char* const kEvidence = R"sql(
CREATE TABLE chain (
  stage TEXT PRIMARY KEY REFERENCES manifests (stage),
  content TEXT NOT NULL,
  link TEXT NOT NULL);
CREATE TABLE files (
  path TEXT PRIMARY KEY,
  sha256 TEXT NOT NULL);
CREATE TABLE seals (
  name TEXT PRIMARY KEY,
  digest BLOB NOT NULL);
CREATE TABLE signatures (
  public_key TEXT PRIMARY KEY,
  signature TEXT NOT NULL);
)sql";

// The statements of a version, all of them or what it adds.
std::string statements(int64_t version, int64_t after = 0) {
  std::string sql;
  if (after < 1) sql += kSchema;
  if (after < kAnnotationsVersion && version >= kAnnotationsVersion) {
    sql += kAnnotations;
  }
  if (after < kEvidenceVersion && version >= kEvidenceVersion) sql += kEvidence;
  return sql;
}

// Name of each table, index, view and trigger -> what it is, and how it was
// made.
std::map<std::string, std::string> objects(const Database& db) {
  Statement query(db,
                  "SELECT name, type, tbl_name, COALESCE(sql, '') "
                  "FROM sqlite_schema");
  std::map<std::string, std::string> objects;
  while (query.step()) {
    objects[query.get_text(0)] = str(
        query.get_text(1), " of ", query.get_text(2), ": ", query.get_text(3));
  }
  return objects;
}

void check_objects(const Database& db, int64_t version) {
  Database fresh;
  fresh.exec(statements(version));
  const auto expected = objects(fresh);
  const auto found = objects(db);
  for (const auto& [name, what] : found) {
    const auto own = expected.find(name);
    if (own == expected.end()) damaged(db, str(name, ", a ", what));
    if (own->second != what) damaged(db, str(name, ", made as ", what));
  }
  for (const auto& [name, what] : expected) {
    if (!found.contains(name)) damaged(db, str("no ", name, ", a ", what));
  }
}

}  // namespace

void damaged(const Database& db, const std::string& found) {
  throw Error(ErrorKind::kDamaged,
              str(db.path(), ": expected a store that this run wrote, found ",
                  found, "; restore it from a copy or start a new run"));
}

Json stored_json(const Database& db, const std::string& text) {
  Json json;
  try {
    json = parse_json(text, db.path());
  } catch (const Error& error) {
    damaged(db, str("bad JSON (", error.what(), ")"));
  }
  if (!json.is_object()) damaged(db, str(text, " where an object belongs"));
  return json;
}

int64_t schema_version(Database& db) {
  return db.query_int("PRAGMA user_version");
}

generate::Finish stored_finish(const Database& db, const std::string& name) {
  try {
    return generate::finish_from_name(name);
  } catch (const Error&) {
    damaged(db, str("the finish reason \"", name, "\""));
  }
}

bool is_blank(Database& db) {
  return schema_version(db) == 0 &&
         db.query_int("SELECT COUNT(*) FROM sqlite_schema") == 0;
}

bool prepare_schema(Database& db) {
  const int64_t version = schema_version(db);
  const bool is_new = is_blank(db);
  const bool is_old = version >= 1 && version < kSchemaVersion &&
                      db.query_int("PRAGMA application_id") == kApplicationId;
  if (!is_new && !is_old) return false;
  if (is_old) check_objects(db, version);
  db.exec(str(statements(kSchemaVersion, version), "PRAGMA application_id=",
              kApplicationId, ";PRAGMA user_version=", kSchemaVersion, ";"));
  return true;
}

void check_schema(Database& db, bool thorough) {
  const int64_t version = schema_version(db);
  if (db.query_int("PRAGMA application_id") != kApplicationId || version < 1) {
    damaged(db, "a database of another program");
  }
  if (version > kSchemaVersion) {
    throw Error(
        ErrorKind::kDamaged,
        str(db.path(), ": expected store version ", kSchemaVersion, ", found ",
            version, "; use the newer program that wrote it"));
  }
  check_objects(db, version);
  if (!thorough) return;
  Statement check(db, "PRAGMA quick_check(1)");
  if (!check.step() || check.get_text(0) != "ok") {
    damaged(db, str("\"", check.get_text(0), "\""));
  }
}

}  // namespace selfalign::store
