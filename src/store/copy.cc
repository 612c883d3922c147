// SPDX-License-Identifier: Apache-2.0
#include "store/copy.h"

#include <sqlite3.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "store/tables.h"

namespace selfalign::store {
namespace {

// Of the header (sqlite.org/fileformat2.html, section 1.3).
constexpr std::streamoff kSchemaChangesAt = 40;
constexpr std::streamoff kVersionAt = 96;  // of the SQLite that wrote it
constexpr size_t kFieldSize = 4;

std::string field_of(const std::string& path, std::streamoff at) {
  std::string field(kFieldSize, '\0');
  std::ifstream in(path, std::ios::binary);
  in.seekg(at);
  in.read(field.data(), kFieldSize);
  return field;
}

void copy_pages(const Database& from, const Database& to) {
  sqlite3_backup* const copy =
      sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
  if (copy == nullptr) to.fail(sqlite3_errcode(to.handle()));
  const int code = sqlite3_backup_step(copy, -1);
  sqlite3_backup_finish(copy);
  if ((code & 0xff) == SQLITE_CORRUPT) {
    damaged(from, str("\"", sqlite3_errstr(code), "\""));
  }
  if (code != SQLITE_DONE) to.fail(code);
}

}  // namespace

// SQLite's copy counts the changes of the schema anew and has the version of
// this SQLite as its writer: what the store has goes in their place.
void copy_store(const Reader& run, const std::string& folder) {
  const std::string path = folder + "/run.db";
  Database& from = run.tables().db;
  int64_t schema_changes = 0;
  make_file(path);
  run.snapshot([&] {
    schema_changes = from.query_int("PRAGMA schema_version");
    Database to(path, true);
    to.exec("PRAGMA journal_mode=MEMORY;PRAGMA synchronous=OFF");
    copy_pages(from, to);
  });
  std::string changes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    changes += static_cast<char>(schema_changes >> shift & 255);
  }
  const std::string version = field_of(from.path(), kVersionAt);
  std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(kSchemaChangesAt).write(changes.data(), kFieldSize);
  // A store whose first page is still in the log alone has none there yet.
  if (version != std::string(kFieldSize, '\0')) {
    out.seekp(kVersionAt).write(version.data(), kFieldSize);
  }
  out.close();
  if (!out) {
    throw Error(ErrorKind::kResources,
                str("cannot write ", path,
                    ": the disk takes no more; free some space, or set TMPDIR "
                    "to a folder that has more"));
  }
}

}  // namespace selfalign::store
