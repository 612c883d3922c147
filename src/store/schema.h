// The tables of a run and the checks on what is read back from them.
#pragma once

#include <string>

#include "base/json.h"
#include "generate/generator.h"
#include "store/sqlite.h"

namespace selfalign::store {

// Makes the tables in an empty database and adds to those of an earlier version
// what it lacks.
void prepare_schema(Database& db);
// Error kDamaged for another program's database, a newer schema and, with
// `thorough`, pages that do not hang together.
void check_schema(Database& db, bool thorough);

// False for a store of version 1, which a reader takes as it is.
bool has_annotations(Database& db);

// Throws Error kDamaged: `found` names what should not be there.
[[noreturn]] void damaged(const Database& db, const std::string& found);

// What is in the database was written by this program; anything else is
// damage, whatever kind the parser names it.
Json stored_json(const Database& db, const std::string& text);
generate::Finish stored_finish(const Database& db, const std::string& name);

}  // namespace selfalign::store
