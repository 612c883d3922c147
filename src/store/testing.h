// SPDX-License-Identifier: Apache-2.0
// A key for a store, and damage to one, for tests.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>

namespace selfalign::store {

// To sign with: of the first test of RFC 8032, section 7.1.
inline constexpr char kSigningKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

// Runs SQL on the database of the run in `folder`, past the store.
inline void edit_store(const std::string& folder, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((folder + "/run.db").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_close(db);
}

// Makes a store what version 1 or 2 of this program left.
inline void make_older(const std::string& folder, int version) {
  edit_store(folder,
             "DROP TABLE chain; DROP TABLE files; DROP TABLE seals; "
             "DROP TABLE signatures; DELETE FROM meta WHERE name LIKE "
             "'store.%' OR name = 'done'; " +
                 std::string(version < 2 ? "DROP TABLE annotations; " : "") +
                 "PRAGMA user_version=" + std::to_string(version));
}

}  // namespace selfalign::store
