// SPDX-License-Identifier: Apache-2.0
// What verify finds in a store; for the store's own source files only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "store/reader.h"
#include "store/sqlite.h"

namespace selfalign::store {

// Collects problems, at most 20 of a kind with the number of the others.
class Findings {
 public:
  Findings(const Database& db, std::vector<Problem>& problems)
      : db_(db), problems_(problems) {}
  ~Findings();

  void add(const std::string& where, const std::string& expected,
           const std::string& found);
  // For each result row (stage, seq, detail) of `sql` one problem.
  void add_rows(const char* sql, const std::string& expected,
                const std::string& found);

 private:
  const Database& db_;
  std::vector<Problem>& problems_;
  std::map<std::string, int64_t> counts_;
};

// evidence.cc, of a store that has seals.
void check_seals(const Database& db, Findings& findings);
void check_chain(const Database& db, Findings& findings);
void check_signature(const Evidence& evidence, const Database& db,
                     Findings& findings);
// file_header.cc: the fields of the file's header that SQLite does not check.
void check_header(const Reader& run, Database& db, Findings& findings);

}  // namespace selfalign::store
