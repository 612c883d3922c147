// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), for what others check with sha256sum and for evidence
// that nobody is to forge. Keys and the digests that a run prints are XXH3
// (base/hash.h): faster, but nothing else computes it, and it can be forged.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace selfalign {

// Bytes that come one after another.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& add(std::string_view bytes);
  // 64 lower-case hex digits; nothing is added after that.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Lower-case hex digits, two a byte.
std::string to_hex(std::string_view bytes);

// 64 lower-case hex digits. A file: Error kInput if unreadable.
std::string sha256_bytes(std::string_view bytes);
std::string sha256_file(const std::string& path);

}  // namespace selfalign
