// SPDX-License-Identifier: Apache-2.0
// The header of the database file (sqlite.org/fileformat2.html, section 1.3).
// Of what it says SQLite checks a part; here is the rest.
#include <sys/stat.h>

#include <fstream>

#include "base/error.h"
#include "store/findings.h"
#include "store/side_files.h"
#include "store/tables.h"

namespace selfalign::store {
namespace {

constexpr size_t kSize = 100;

uint32_t number_at(const std::string& header, size_t offset, size_t size) {
  uint32_t number = 0;
  for (size_t i = 0; i < size; ++i) {
    number = number << 8 | static_cast<unsigned char>(header[offset + i]);
  }
  return number;
}

struct Field {
  size_t offset;
  size_t size;
  uint32_t value;
  const char* name;
  bool later = false;  // 0 until the first tables are out of the log
};

// What they are in every store: SQLite's constants, and what the store asks
// for (write-ahead log, UTF-8).
constexpr Field kFields[] = {{18, 1, 2, "file format to write"},
                             {19, 1, 2, "file format to read"},
                             {20, 1, 0, "bytes reserved in a page"},
                             {44, 4, 4, "schema format", true},
                             {48, 4, 0, "suggested cache"},
                             {52, 4, 0, "largest root page"},
                             {56, 4, 1, "text encoding", true},
                             {64, 4, 0, "incremental vacuum"},
                             {72, 4, 0, "reserved for expansion"},
                             {76, 4, 0, "reserved for expansion"},
                             {80, 4, 0, "reserved for expansion"},
                             {84, 4, 0, "reserved for expansion"},
                             {88, 4, 0, "reserved for expansion"}};

}  // namespace

void check_header(const Reader& run, Database& db, Findings& findings) {
  if (const auto changes = run.meta(kSchemaChanges)) {
    const int64_t found = db.query_int("PRAGMA schema_version");
    if (*changes != str(found)) {
      findings.add(db.path(), "a schema changed " + *changes + " times",
                   str(found));
    }
  }
  const std::string& path = db.path();
  const int64_t page_size = db.query_int("PRAGMA page_size");
  const Log log = look_at_log(path, page_size);
  if (log == Log::kForeign) {
    findings.add(path + "-wal", "the log of this store, or none",
                 "something else");
  }
  std::string header(kSize, '\0');
  std::ifstream(path, std::ios::binary).read(header.data(), kSize);
  const auto expect = [&](const char* name, int64_t expected, int64_t found) {
    if (expected == found) return;
    findings.add(path, str("a header with ", name, " ", expected), str(found));
  };
  for (const Field& field : kFields) {
    const uint32_t found = number_at(header, field.offset, field.size);
    if (field.later && log == Log::kFilled && found == 0) continue;
    expect(field.name, field.value, found);
  }
  // Until the log is written back, page 1 of the file is an older one.
  if (log == Log::kFilled) return;
  expect("version valid for", number_at(header, 24, 4),
         number_at(header, 92, 4));
  const std::string version = str(number_at(header, 96, 4));
  const std::string known = run.meta(kSqlite).value_or("");
  if (run.tables().has_evidence() &&
      (version.size() != 7 || known.find(version) == std::string::npos)) {
    findings.add(path, "a header of SQLite " + known, version);
  }
  const int64_t num_pages = db.query_int("PRAGMA page_count");
  expect("pages", number_at(header, 28, 4), num_pages);
  expect("bytes in all", num_pages * page_size, size_of(path));
}

}  // namespace selfalign::store
