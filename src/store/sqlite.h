// SPDX-License-Identifier: Apache-2.0
// The thin layer between the store and SQLite's C interface: statements that
// finalize themselves and result codes that become Errors of the right kind.
// A database may come from anybody: it is opened with the defences of
// sqlite.org/security.html, and what is read must have the type it was written
// with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace selfalign::store {

// Used by one thread at a time.
class Database {
 public:
  // Opens `path`; with `writable` it is made where absent. A reader never
  // blocks and also reads from a folder that it cannot write. Error kDamaged
  // where it, its log or the log's index is a link, a FIFO or a device, and
  // where there is a journal that is none of its making (side_files.h).
  Database(const std::string& path, bool writable);
  // An empty database in memory.
  Database();
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // One or more statements without results.
  void exec(const std::string& sql);
  // The same, failures ignored (a rollback after a failure).
  void exec_quietly(const std::string& sql);
  int64_t query_int(const std::string& sql);
  int64_t num_changes() const;  // rows written since opening

  // Throws the Error of SQLite's result code `code`: kDamaged for a corrupt
  // file or one that the store's own statements do not fit, kResources for a
  // full or unwritable disk, kFailed otherwise.
  [[noreturn]] void fail(int code) const;
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_; }

 private:
  friend class Statement;
  void open(const std::string& name, int flags);
  void defend();

  std::string path_;
  sqlite3* handle_ = nullptr;
  // Statements that are not in use, by their text, for the next of it.
  mutable std::map<std::string, std::vector<sqlite3_stmt*>, std::less<>> idle_;
};

// A prepared statement. Parameters are bound left to right. The getters throw
// Error kDamaged, with the column's name and the row's key where `key` is the
// first column, for a value of another type.
class Statement {
 public:
  Statement(const Database& database, const char* sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(std::string_view text);
  Statement& bind(int64_t number);
  Statement& bind(double number);
  Statement& bind_key(uint64_t key);  // the same 64 bits, signed
  Statement& bind_blob(std::string_view bytes);

  // True while there is a result row to read.
  bool step();
  // Steps to the end and makes the statement ready for new parameters.
  void run();

  int64_t get_int(int column) const;
  // Within 0..`max`.
  int64_t get_count(int column, int64_t max = INT64_MAX) const;
  double get_double(int column) const;
  uint64_t get_key(int column) const;
  std::string get_text(int column) const;
  std::string get_blob(int column) const;
  // Every column of the result row with its type, so that no two rows look
  // alike; what digests are made of.
  std::string entry() const;

 private:
  void check(int code) const;
  void require_type(int column, int type) const;
  [[noreturn]] void fail_value(int column, const std::string& expected) const;

  const Database& database_;
  const std::string sql_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
};

}  // namespace selfalign::store
