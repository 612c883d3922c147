// SPDX-License-Identifier: Apache-2.0
// Errors of writing that more room would cure.
#pragma once

#include <cerrno>

namespace selfalign {

// A full disk, or one's share of it (quota), or a file at its limit
// (ulimit -f): of a value of errno.
inline bool is_disk_full(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

}  // namespace selfalign
