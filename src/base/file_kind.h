// SPDX-License-Identifier: Apache-2.0
// What stands where a regular file is expected, for messages.
#pragma once

#include <sys/stat.h>

namespace selfalign {

// Of st_mode: "a folder", "a link", ...
inline const char* file_kind(mode_t mode) {
  if (S_ISREG(mode)) return "a file";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISLNK(mode)) return "a link";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace selfalign
