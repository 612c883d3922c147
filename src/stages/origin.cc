// SPDX-License-Identifier: Apache-2.0
#include "stages/origin.h"

#include <set>

#include "base/error.h"

namespace selfalign::stages {

store::Row origin_of(const store::Reader& store, store::Row row,
                     const std::function<bool(const store::Row&)>& is_derived) {
  std::set<uint64_t> seen = {row.key};
  while (is_derived(row) && !row.parents.empty()) {
    auto parent = store.row(row.parents[0]);
    if (!parent) break;
    if (!seen.insert(parent->key).second) {
      throw Error(ErrorKind::kDamaged,
                  str(store.folder(), ": row ", row.stage, ":", row.seq,
                      " comes from itself; restore run.db from a copy or start "
                      "a new run"));
    }
    row = std::move(*parent);
  }
  return row;
}

}  // namespace selfalign::stages
