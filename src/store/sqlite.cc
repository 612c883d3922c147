#include "store/sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace selfalign::store {
namespace {

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
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
    throw Error(ErrorKind::kResources,
                str(path,
                    ": expected to read a run that was not closed, "
                    "found its folder not writable and run.db-shm "
                    "missing; make the folder writable or copy the run "
                    "to one that is"));
  }
  return false;
}

// SQLite opens its files whatever they are, and would wait for the other end
// of a pipe.
void require_files(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const std::string file = path + suffix;
    struct stat info;
    if (stat(file.c_str(), &info) != 0 || S_ISREG(info.st_mode) ||
        S_ISDIR(info.st_mode)) {
      continue;
    }
    throw Error(ErrorKind::kDamaged,
                str(file,
                    ": expected a regular file, found a pipe or a device; "
                    "restore the run's folder from a copy"));
  }
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
  require_files(path);
  const int flags =
      SQLITE_OPEN_URI | (writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                                  : SQLITE_OPEN_READONLY);
  const int code =
      sqlite3_open_v2(uri_of(path, writable).c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    try {
      fail(code);
    } catch (...) {
      sqlite3_close_v2(handle_);
      throw;
    }
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 30000);
}

Database::~Database() { sqlite3_close_v2(handle_); }

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
  throw Error(kind, str(path_, ": expected a working run store, found: ", found,
                        "; ", advice(kind)));
}

Statement::Statement(const Database& database, const char* sql)
    : database_(database) {
  check(sqlite3_prepare_v2(database.handle(), sql, -1, &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::check(int code) const {
  if (code == SQLITE_OK) return;
  SELFALIGN_CHECK(code != SQLITE_MISUSE && code != SQLITE_RANGE &&
                      (code & 0xff) != SQLITE_CONSTRAINT,
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

int64_t Statement::get_int(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double Statement::get_double(int column) const {
  return sqlite3_column_double(statement_, column);
}

uint64_t Statement::get_key(int column) const {
  return static_cast<uint64_t>(get_int(column));
}

std::string Statement::get_text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return "";
  const int size = sqlite3_column_bytes(statement_, column);
  return std::string(reinterpret_cast<const char*>(text),
                     static_cast<size_t>(size));
}

}  // namespace selfalign::store
