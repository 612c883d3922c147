// SPDX-License-Identifier: Apache-2.0
// Pointers of git-lfs, which stand in place of files that were not fetched.
#pragma once

#include <string_view>

namespace selfalign {

// By its first bytes (the specification's version 1), behind a byte order mark
// or not.
inline bool is_lfs_pointer(std::string_view content) {
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  return content.starts_with("version https://git-lfs.github.com/spec/");
}

}  // namespace selfalign
