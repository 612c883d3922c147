// SPDX-License-Identifier: Apache-2.0
// Where a row came from.
#pragma once

#include <functional>

#include "store/reader.h"

namespace selfalign::stages {

// Goes from the row to its first parent and on, while `is_derived` says so of
// where it stands and there is a parent. Error kDamaged where rows stand above
// themselves, as in a run that somebody made up: there is no end then.
store::Row origin_of(const store::Reader& store, store::Row row,
                     const std::function<bool(const store::Row&)>& is_derived);

}  // namespace selfalign::stages
