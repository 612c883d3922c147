// SPDX-License-Identifier: Apache-2.0
// Whether a run is sound and what this program wrote, whatever its stages mean:
// asked by `verify`, before a run's rows go elsewhere, and where a command
// fails over a run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/reader.h"

namespace selfalign::store {

// What does not hang together, whatever the stages mean: pages and header of
// the file, entries that are not what their seal or the chain says, sequence
// numbers with gaps, parents that are not there, completions and verdicts of
// no row, content that is not JSON. At most 20 of each kind.
std::vector<Problem> find_problems(const Reader& run);
// Rows that have a parent among the rejected rows of `stage` or beyond its
// first num_rows, on which no person decided; by key.
std::vector<Row> heirs_of_nothing(const Reader& run, const std::string& stage,
                                  const std::string& filter, int64_t num_rows);

Evidence evidence_of(const Reader& run);
// Error kDamaged where a table was changed by another hand: before what is in
// it goes into another run. Reads all of it, some 10 us an entry. Of a store
// without evidence the stages' digests are compared.
void require_sealed(const Reader& run);
// Error kDamaged where a file that the run keeps as evidence, a report aside,
// is missing, reached by a link or not what it was. Reads all of them.
void require_files(const Reader& run);
// What these two say of the runs that this process has opened so far, to tell
// why something failed over them; "": nothing.
std::string find_damage();

}  // namespace selfalign::store
