// SHA-256, for manifests that others check with sha256sum. Keys and digests
// inside a run are XXH3 (base/hash.h): faster, but nothing else computes it.
#pragma once

#include <string>
#include <string_view>

namespace selfalign {

// 64 lower-case hex digits. A file: Error kInput if unreadable.
std::string sha256_bytes(std::string_view bytes);
std::string sha256_file(const std::string& path);

}  // namespace selfalign
