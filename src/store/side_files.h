// SPDX-License-Identifier: Apache-2.0
// The files that SQLite keeps beside a database, looked at before they are
// relied on: the log of what was committed last (run.db-wal), and the journal
// (run.db-journal) of a database that has no log yet. Their formats:
// sqlite.org/fileformat2.html, sections 3 (journal) and 4 (log).
#pragma once

#include <cstdint>
#include <string>

namespace selfalign::store {

// Of a file, in bytes; 0 where there is none.
int64_t size_of(const std::string& path);

// True where the journal says that the database was empty and is just being
// made, as a kill at the very start of a run leaves it: nothing is in it yet,
// and whoever opens it for writing begins anew. A store has no other journal,
// for what it commits goes to the log: Error kDamaged for one.
bool is_being_made(const std::string& database);

enum class Log {
  kNone,     // no file, nothing in it, or no commit since it was begun anew
  kFilled,   // holds what the file may not have yet
  kForeign,  // something else stands in its place
};
Log look_at_log(const std::string& database, int64_t page_size);

}  // namespace selfalign::store
