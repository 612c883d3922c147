#include "store/schema.h"

#include "base/error.h"

namespace selfalign::store {
namespace {

// 1: everything but annotations; 2: with them.
constexpr int kSchemaVersion = 2;
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

}  // namespace

void damaged(const Database& db, const std::string& found) {
  throw Error(ErrorKind::kDamaged,
              str(db.path(), ": expected a store that this run wrote, found ",
                  found, "; restore it from a copy or start a new run"));
}

Json stored_json(const Database& db, const std::string& text) {
  try {
    return parse_json(text, db.path());
  } catch (const Error& error) {
    damaged(db, str("bad JSON (", error.what(), ")"));
  }
}

bool has_annotations(Database& db) {
  return db.query_int("PRAGMA user_version") >= 2;
}

generate::Finish stored_finish(const Database& db, const std::string& name) {
  try {
    return generate::finish_from_name(name);
  } catch (const Error&) {
    damaged(db, str("the finish reason \"", name, "\""));
  }
}

void prepare_schema(Database& db) {
  const int64_t version = db.query_int("PRAGMA user_version");
  if (version == 0 && db.query_int("SELECT COUNT(*) FROM sqlite_master") == 0) {
    db.exec(str("BEGIN IMMEDIATE;", kSchema, kAnnotations,
                "PRAGMA application_id=", kApplicationId,
                ";PRAGMA user_version=", kSchemaVersion, ";COMMIT;"));
  } else if (version == 1 &&
             db.query_int("PRAGMA application_id") == kApplicationId) {
    db.exec(str("BEGIN IMMEDIATE;", kAnnotations,
                "PRAGMA user_version=", kSchemaVersion, ";COMMIT;"));
  }
}

void check_schema(Database& db, bool thorough) {
  const int64_t version = db.query_int("PRAGMA user_version");
  if (db.query_int("PRAGMA application_id") != kApplicationId || version < 1) {
    damaged(db, "a database of another program");
  }
  if (version > kSchemaVersion) {
    throw Error(
        ErrorKind::kDamaged,
        str(db.path(), ": expected store version ", kSchemaVersion, ", found ",
            version, "; use the newer program that wrote it"));
  }
  if (!thorough) return;
  Statement check(db, "PRAGMA quick_check(1)");
  if (!check.step() || check.get_text(0) != "ok") {
    damaged(db, str("\"", check.get_text(0), "\""));
  }
}

}  // namespace selfalign::store
