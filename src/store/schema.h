// SPDX-License-Identifier: Apache-2.0
// The tables of a run and the checks on what is read back from them.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "generate/generator.h"
#include "store/sqlite.h"

namespace selfalign::store {

// 1: everything but annotations; 2: with them; 3: with the evidence (seals.h).
constexpr int kAnnotationsVersion = 2;
constexpr int kEvidenceVersion = 3;

// True of a database whose making was cut short: nothing is in it yet.
bool is_blank(Database& db);
// Makes the tables in a blank database and adds to those of an earlier version
// what it lacks. True if there is evidence to be made for what is there.
bool prepare_schema(Database& db);
// Error kDamaged for another program's database, a newer schema, a table,
// index, trigger or view that is not this program's, to the letter, and, with
// `thorough`, pages that do not hang together.
void check_schema(Database& db, bool thorough);

// A reader takes a store of an earlier version as it is.
int64_t schema_version(Database& db);

// Throws Error kDamaged: `found` names what should not be there.
[[noreturn]] void damaged(const Database& db, const std::string& found);

// What is in the database was written by this program; anything else is
// damage, whatever kind the parser names it.
Json stored_json(const Database& db, const std::string& text);
generate::Finish stored_finish(const Database& db, const std::string& name);

}  // namespace selfalign::store
