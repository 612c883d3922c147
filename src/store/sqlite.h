// The thin layer between the store and SQLite's C interface: statements that
// finalize themselves and result codes that become Errors of the right kind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace selfalign::store {

class Database {
 public:
  // Opens `path`; with `writable` it is made where absent. A reader never
  // blocks and also reads from a folder that it cannot write.
  Database(const std::string& path, bool writable);
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
  // file, kResources for a full or unwritable disk, kFailed otherwise.
  [[noreturn]] void fail(int code) const;
  const std::string& path() const { return path_; }
  sqlite3* handle() const { return handle_; }

 private:
  std::string path_;
  sqlite3* handle_ = nullptr;
};

// A prepared statement. Parameters are bound left to right.
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

  // True while there is a result row to read.
  bool step();
  // Steps to the end and makes the statement ready for new parameters.
  void run();

  int64_t get_int(int column) const;
  double get_double(int column) const;
  uint64_t get_key(int column) const;
  std::string get_text(int column) const;

 private:
  void check(int code) const;

  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 1;
};

}  // namespace selfalign::store
