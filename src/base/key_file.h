// SPDX-License-Identifier: Apache-2.0
// Files of secrets.
#pragma once

#include <cstdint>
#include <string>

namespace selfalign {

// The whole of a file that holds a key. What is checked is what is read: the
// file is opened once, and a link leads to what it names. Error kUsage where
// others than this user may read or change it, or it is neither this user's nor
// root's (never with a part of it); kInput where it is no regular file (nobody
// waits for a pipe), cannot be read, or has more than max_bytes.
std::string read_key_file(const std::string& path, uint64_t max_bytes);

}  // namespace selfalign
