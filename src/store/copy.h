// SPDX-License-Identifier: Apache-2.0
// A copy of a run's store, also while a writer goes on.
#pragma once

#include <string>

#include "store/reader.h"

namespace selfalign::store {

// Makes FOLDER/run.db, in a folder that is there and has none, of what `run`
// says at this moment; a writer goes on meanwhile. All pages are those of the
// store, and the fields of the header by which `verify` knows it, so seals,
// chain and signature hold for the copy; it has no log beside it. Not durable
// when it returns. Error kResources where the disk takes no more, kDamaged
// where the store cannot be read.
void copy_store(const Reader& run, const std::string& folder);

}  // namespace selfalign::store
