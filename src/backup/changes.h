// SPDX-License-Identifier: Apache-2.0
// Files of the blocks in which a database is another than it was, so that of a
// large one little is written. A block is 4,096 bytes, a page of SQLite's; a
// record is its number, 8 bytes little-endian, and the block, the last one of
// a file filled up with zeros.
#pragma once

#include <cstdint>
#include <string>

namespace selfalign::backup {

inline constexpr int64_t kBlock = 4096;
// The last one may be a part.
inline int64_t num_blocks_of(int64_t num_bytes) {
  return (num_bytes + kBlock - 1) / kBlock;
}

struct Changes {
  int64_t num_blocks = 0;
  int64_t num_bytes = 0;  // of the file
  std::string sha256;
};

// Writes to a new file `path` the blocks of the file `now` that are not in
// `before`. The content is durable when it returns. Error kInput where one
// cannot be read, kResources for a full disk.
Changes write_changes(const std::string& before, const std::string& now,
                      const std::string& path);

// Makes `file` what `now` was, of `size` bytes, once more where that was done
// in part or whole. Durable when it returns. Error kDamaged where there is no
// such file of changes.
void apply_changes(const std::string& changes, const std::string& sha256,
                   const std::string& file, int64_t size);

}  // namespace selfalign::backup
