// SPDX-License-Identifier: Apache-2.0
// Several generators of one model, servers mostly, as one: rows go to whichever
// has room for them.
#pragma once

#include <memory>

#include "generate/fleet_options.h"
#include "generate/generator.h"

namespace selfalign::generate {

// Opens all servers and waits for the first. Error kUsage or kFailed, with what
// each server said, where none can be used; kUsage where two of those that
// answer at once are not one model (probe.h).
//
// generate: a server asks for its next row itself, as soon as it has room, so
// that each works at its own rate. It is given a row whose prefix it had
// before, else one whose prefix no other server had, else the oldest. How many
// it has at once follows the tokens it makes: more where that brings more. One
// that fails, or is silent for stall_s, is drained: its rows go to others, and
// it is tried again after a rest that doubles. A row that a server gives no
// answer to (is_given_up) goes to two others at most, of those that are there.
// Where no rows are left
// to begin, idle servers ask a second time for the oldest that are under way;
// the first answer counts, the other is dropped. So each row is pushed once.
// Error kFailed once no server has answered for patience_s. Texts of on_text
// are handed on as each row ends.
//
// score: in parts, side by side, a context's continuations at one server.
std::unique_ptr<Generator> make_fleet(const FleetOptions& options);

}  // namespace selfalign::generate
