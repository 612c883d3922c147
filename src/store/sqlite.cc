// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <new>

#include "base/error.h"
#include "base/hash.h"
#include "base/own_file.h"
#include "store/side_files.h"

namespace selfalign::store {
namespace {

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  // the statements are right: the tables are not
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_FORMAT:
    case SQLITE_TOOBIG:
      return ErrorKind::kDamaged;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
      return ErrorKind::kResources;
    default:
      return ErrorKind::kFailed;
  }
}

const char* advice(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kDamaged:
      return "the file is damaged; restore it from a copy or start a new run";
    case ErrorKind::kResources:
      return "free disk space or make the folder writable; what was committed "
             "is safe and the run can be resumed";
    default:
      return "run the command again";
  }
}

// As sqlite.org/security.html names them for a file of unknown origin. Our
// largest statement is the schema; our largest value a row's content.
struct Limit {
  int id;
  int value;
};
constexpr Limit kLimits[] = {{SQLITE_LIMIT_LENGTH, 1 << 28},
                             {SQLITE_LIMIT_SQL_LENGTH, 100000},
                             {SQLITE_LIMIT_COLUMN, 100},
                             {SQLITE_LIMIT_EXPR_DEPTH, 20},
                             {SQLITE_LIMIT_COMPOUND_SELECT, 3},
                             {SQLITE_LIMIT_VDBE_OP, 25000},
                             {SQLITE_LIMIT_FUNCTION_ARG, 8},
                             {SQLITE_LIMIT_ATTACHED, 0},
                             {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
                             {SQLITE_LIMIT_VARIABLE_NUMBER, 20},
                             {SQLITE_LIMIT_TRIGGER_DEPTH, 1}};

struct Defence {
  int id;
  int on;
};
constexpr Defence kDefences[] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                 {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                 {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
                                 {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                 {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                 {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
                                 {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
                                 {SQLITE_DBCONFIG_DQS_DML, 0},
                                 {SQLITE_DBCONFIG_DQS_DDL, 0}};

// A reader that cannot write the folder. Without a log, or with an empty one
// on a disk that nobody can write, the file is all there is and is declared
// immutable. With a log SQLite needs its index, which it cannot make there: to
// read without would be to miss the last commits.
bool is_immutable(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (access(folder.c_str(), W_OK) == 0) return false;
  const bool read_only_disk = errno == EROFS;
  struct stat log, index;
  if (stat((path + "-wal").c_str(), &log) != 0) return true;
  if (log.st_size == 0) return read_only_disk;
  if (stat((path + "-shm").c_str(), &index) != 0) {
    throw Error(
        ErrorKind::kResources,
        str("cannot read ", path,
            ": the run was not closed, its folder is not writable and "
            "run.db-shm is missing; make the folder writable or copy the run "
            "to one that is"));
  }
  return false;
}

std::string uri_of(const std::string& path, bool writable) {
  std::string uri = "file:";
  for (unsigned char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      const char* hex = "0123456789abcdef";
      uri += {'%', hex[c >> 4], hex[c & 15]};
    } else {
      uri += static_cast<char>(c);
    }
  }
  if (!writable && is_immutable(path)) uri += "?immutable=1";
  return uri;
}

}  // namespace

Database::Database(const std::string& path, bool writable) : path_(path) {
  for (const char* ending : {"", "-wal", "-shm", "-journal"}) {
    require_plain_file(path + ending);
  }
  is_being_made(path);
  open(uri_of(path, writable),
       SQLITE_OPEN_URI | (writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                   : SQLITE_OPEN_READONLY));
}

Database::Database() : path_("memory") {
  open(":memory:",
       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY);
}

void Database::open(const std::string& name, int flags) {
  const int code = sqlite3_open_v2(name.c_str(), &handle_, flags, nullptr);
  try {
    if (code != SQLITE_OK) fail(code);
    defend();
  } catch (...) {
    sqlite3_close_v2(handle_);
    throw;
  }
}

void Database::defend() {
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 30000);
  for (const Limit& limit : kLimits) {
    sqlite3_limit(handle_, limit.id, limit.value);
  }
  for (const Defence& defence : kDefences) {
    // An SQLite that was built without one has nothing to switch off.
    sqlite3_db_config(handle_, defence.id, defence.on, nullptr);
  }
  exec("PRAGMA cell_size_check=ON;PRAGMA mmap_size=0;");
}

Database::~Database() {
  for (const auto& [sql, statements] : idle_) {
    for (sqlite3_stmt* const one : statements) sqlite3_finalize(one);
  }
  sqlite3_close_v2(handle_);
}

void Database::exec(const std::string& sql) {
  const int code =
      sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

void Database::exec_quietly(const std::string& sql) {
  sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
}

int64_t Database::query_int(const std::string& sql) {
  Statement query(*this, sql.c_str());
  return query.step() ? query.get_int(0) : 0;
}

int64_t Database::num_changes() const {
  return sqlite3_total_changes64(handle_);
}

void Database::fail(int code) const {
  const ErrorKind kind = kind_of(code);
  std::string found = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  const int system = handle_ ? sqlite3_system_errno(handle_) : 0;
  if (system != 0 && kind == ErrorKind::kResources) {
    found += str(" (", std::strerror(system), ")");
  }
  throw Error(kind, str("cannot use the run store ", path_, ": ", found, "; ",
                        advice(kind)));
}

Statement::Statement(const Database& database, const char* sql)
    : database_(database), sql_(sql) {
  const auto idle = database.idle_.find(sql_);
  if (idle != database.idle_.end() && !idle->second.empty()) {
    statement_ = idle->second.back();
    idle->second.pop_back();
    return;
  }
  check(sqlite3_prepare_v2(database.handle(), sql, -1, &statement_, nullptr));
}

// To prepare it costs more than to use it: it is kept, unless it failed.
Statement::~Statement() {
  constexpr size_t kMaxTexts = 256;
  const bool is_sound = sqlite3_reset(statement_) == SQLITE_OK &&
                        sqlite3_clear_bindings(statement_) == SQLITE_OK;
  auto& idle = database_.idle_;
  if (is_sound && (idle.size() < kMaxTexts || idle.contains(sql_))) {
    idle[sql_].push_back(statement_);
  } else {
    sqlite3_finalize(statement_);
  }
}

void Statement::check(int code) const {
  if (code == SQLITE_OK) return;
  SELFALIGN_CHECK(code != SQLITE_MISUSE && code != SQLITE_RANGE,
                  sqlite3_errmsg(database_.handle()));
  database_.fail(code);
}

Statement& Statement::bind(std::string_view text) {
  check(sqlite3_bind_text64(statement_, next_++, text.data(), text.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(int64_t number) {
  check(sqlite3_bind_int64(statement_, next_++, number));
  return *this;
}

Statement& Statement::bind(double number) {
  check(sqlite3_bind_double(statement_, next_++, number));
  return *this;
}

Statement& Statement::bind_key(uint64_t key) {
  return bind(static_cast<int64_t>(key));
}

Statement& Statement::bind_blob(std::string_view bytes) {
  check(sqlite3_bind_blob64(statement_, next_++, bytes.data(), bytes.size(),
                            SQLITE_TRANSIENT));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) check(code);
  return false;
}

void Statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
  next_ = 1;
}

void Statement::fail_value(int column, const std::string& expected) const {
  constexpr const char* kTypes[] = {"",     "a whole number", "a number",
                                    "text", "bytes",          "nothing"};
  const int type = sqlite3_column_type(statement_, column);
  std::string found = kTypes[type];
  if (type == SQLITE_INTEGER) {
    found = str(sqlite3_column_int64(statement_, column));
  }
  const bool has_key =
      sqlite3_column_name(statement_, 0) == std::string_view("key") &&
      sqlite3_column_type(statement_, 0) == SQLITE_INTEGER;
  throw Error(
      ErrorKind::kDamaged,
      str(database_.path(), ": expected ", expected, " in column ",
          sqlite3_column_name(statement_, column),
          has_key ? " of row " + key_to_hex(get_key(0)) : "", ", found ", found,
          "; the file is damaged: restore it from a copy or start a new run; "
          "it was asked: ",
          sqlite3_sql(statement_)));
}

void Statement::require_type(int column, int type) const {
  if (sqlite3_column_type(statement_, column) == type) return;
  fail_value(column, type == SQLITE_INTEGER ? "a whole number"
                     : type == SQLITE_FLOAT ? "a number"
                     : type == SQLITE_TEXT  ? "text"
                                            : "bytes");
}

int64_t Statement::get_int(int column) const {
  require_type(column, SQLITE_INTEGER);
  return sqlite3_column_int64(statement_, column);
}

int64_t Statement::get_count(int column, int64_t max) const {
  const int64_t count = get_int(column);
  if (count < 0 || count > max) fail_value(column, str("0 to ", max));
  return count;
}

double Statement::get_double(int column) const {
  require_type(column, SQLITE_FLOAT);
  return sqlite3_column_double(statement_, column);
}

uint64_t Statement::get_key(int column) const {
  return static_cast<uint64_t>(get_int(column));
}

std::string Statement::get_text(int column) const {
  require_type(column, SQLITE_TEXT);
  const void* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) throw std::bad_alloc();
  return {static_cast<const char*>(text),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string Statement::get_blob(int column) const {
  require_type(column, SQLITE_BLOB);
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return {static_cast<const char*>(bytes), static_cast<size_t>(size)};
}

std::string Statement::entry() const {
  std::string entry;
  const auto add_number = [&entry](uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      entry += static_cast<char>(number >> shift & 255);
    }
  };
  for (int i = 0; i < sqlite3_column_count(statement_); ++i) {
    int type = sqlite3_column_type(statement_, i);
    // SQLite stores a whole number that stands for another one as such, and
    // RETURNING shows it so.
    const double number =
        type == SQLITE_FLOAT ? sqlite3_column_double(statement_, i) : 0.5;
    constexpr double kExact = 9007199254740992.0;  // 2^53
    const bool is_whole =
        std::trunc(number) == number && number > -kExact && number < kExact;
    if (is_whole) type = SQLITE_INTEGER;
    entry += static_cast<char>(type);
    if (type == SQLITE_INTEGER) {
      add_number(static_cast<uint64_t>(sqlite3_column_int64(statement_, i)));
    } else if (type == SQLITE_FLOAT) {
      add_number(std::bit_cast<uint64_t>(number));
    } else if (type != SQLITE_NULL) {
      const void* bytes = sqlite3_column_blob(statement_, i);
      const int size = sqlite3_column_bytes(statement_, i);
      add_number(static_cast<uint64_t>(size));
      if (size > 0) {
        entry.append(static_cast<const char*>(bytes),
                     static_cast<size_t>(size));
      }
    }
  }
  return entry;
}

}  // namespace selfalign::store
